/*
 * A question of the past. Owns what the values of a verdict line mean, and which of them there must
 * be; nothing is judged here.
 */
#include "past.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *text;
} unsaids[UNSAIDS] = {
    [UNSAID_LONG] = {"line-too-long", "the line is longer than 1 MiB"},
    [UNSAID_DAMAGED] = {"line-damaged", "the line is damaged or not complete"},
    [UNSAID_CUT] = {"value-cut", "a value was too long for the log"},
    [UNSAID_HEADER] = {"header", "it was on the message's header, which the log does not have"},
    [UNSAID_LISTENER] = {"listener", "the configuration has no such listener now"},
    [UNSAID_SERVICE] = {"service", "the service did not exist"},
    [UNSAID_SENDER] = {"sender-ambiguous", "the sender can be read as more than one address"},
    [UNSAID_SPF] = {"spf", "SPF was not evaluated"},
    [UNSAID_HELO] = {"spf-helo", "SPF was not evaluated for HELO"},
    [UNSAID_PROVIDER] = {"provider",
                         "a provider's SPF record decides, which the log does not have"},
    [UNSAID_PREFIX] = {"spf-prefix", "the line does not say how wide an SPF pass was"},
    [UNSAID_TLS] = {"tls", "the line does not say whether there was TLS"},
};

const char *unsaid_name(enum unsaid unsaid) {
    return unsaids[unsaid].name;
}

const char *unsaid_text(enum unsaid unsaid) {
    return unsaids[unsaid].text;
}

bool outcome_is_same(const struct outcome *a, const struct outcome *b) {
    if (a->kind != b->kind)
        return false;
    return a->monitor == b->monitor || a->kind == VERDICT_ACCEPT;
}

/* NULL where the line has the key without a value. */
static const char *text_of(const struct verdict_line *line, enum verdict_key key) {
    const struct verdict_value *value = &line->values[key];
    return value->state == VALUE_THERE ? value->text : NULL;
}

static int word_of(const struct verdict_line *line, enum verdict_key key,
                   const struct words *words) {
    const char *text = line->values[key].text;
    return words_find(words, text, strlen(text));
}

static bool read_stage(const struct verdict_line *line, struct past *past) {
    for (int stage = 0; stage < STAGES; stage++) {
        if (strcmp(line->values[KEY_STAGE].text, stage_name((enum stage)stage)) == 0) {
            past->stage = (enum stage)stage;
            return true;
        }
    }
    return false;
}

static bool read_outcome(const struct verdict_line *line, struct past *past) {
    int kind = word_of(line, KEY_VERDICT, &verdict_words);
    int reason = word_of(line, KEY_REASON, &reason_words);
    int mode = word_of(line, KEY_MODE, &mode_words);
    if (mode == MODE_MONITOR)
        kind = word_of(line, KEY_WOULD, &verdict_words);
    past->outcome =
        (struct outcome){(enum verdict_kind)kind, (enum reason)reason, mode == MODE_MONITOR};
    return kind >= 0 && reason >= 0 && mode >= 0;
}

/* A result, or -1 where there is none; false when it cannot be read. */
static bool read_result(const struct verdict_line *line, enum verdict_key key, int *result) {
    *result = -1;
    if (line->values[key].state == VALUE_THERE)
        *result = word_of(line, key, &spf_result_words);
    return *result >= 0 || line->values[key].state != VALUE_THERE;
}

/* Lines had no spf-prefix= once; but one reason is given for a pass that is too wide. */
static bool read_prefix(const struct verdict_line *line, struct past *past) {
    const char *text = line->values[KEY_SPF_PREFIX].text;
    size_t digits = strspn(text, "0123456789");
    past->spf_prefix = past->outcome.reason == REASON_SPF_TOO_WIDE ? 0 : -1;
    if (line->values[KEY_SPF_PREFIX].state != VALUE_THERE)
        return true;
    past->spf_prefix = digits > 0 && digits <= 3 && text[digits] == '\0' ? atoi(text) : -1;
    return past->spf_prefix >= 0;
}

static bool read_client(const struct verdict_line *line, struct past *past) {
    const char *text = text_of(line, KEY_CLIENT);
    past->client = (struct ip_address){.family = IP_NONE};
    return text == NULL || ip_parse(text, strlen(text), &past->client) == 0;
}

/* Lines had no tls= once; but one reason is given without TLS only. */
static bool read_tls(const struct verdict_line *line, struct past *past) {
    const struct verdict_value *value = &line->values[KEY_TLS];
    past->tls = past->outcome.reason == REASON_TLS_REQUIRED ? TLS_NO : TLS_NOT_LOGGED;
    if (value->state == VALUE_MISSING)
        return true;
    past->tls = strcmp(value->text, "yes") == 0 ? TLS_YES : TLS_NO;
    return past->tls == TLS_YES || strcmp(value->text, "no") == 0;
}

static bool read_door(const struct verdict_line *line, struct past *past) {
    past->door = DOOR_MTA;
    if (past->stage != STAGE_DOOR)
        return true;
    int door = word_of(line, KEY_DOOR, &door_words);
    past->door = (enum door)door;
    return door > DOOR_MTA && past->login != NULL && past->service != NULL;
}

/* Who is asked about; at a message there is a sender, if only the null one. */
static bool read_names(const struct verdict_line *line, struct past *past) {
    past->listener = text_of(line, KEY_LISTENER);
    past->service = text_of(line, KEY_SERVICE);
    past->helo = text_of(line, KEY_HELO);
    past->sender = text_of(line, KEY_SENDER);
    past->login = text_of(line, KEY_LOGIN);
    past->account = text_of(line, KEY_ACCOUNT);
    past->app_password = text_of(line, KEY_PASSWORD) != NULL ||
                         strcmp(line->values[KEY_APP_PASSWORD].text, "yes") == 0;
    if (past->sender != NULL && strcmp(past->sender, "<>") == 0)
        past->sender = "";
    return past->stage != STAGE_MAIL || past->sender != NULL;
}

/* Of HELO only what names the account of the null sender. */
static bool is_cut(const struct verdict_line *line) {
    bool null_sender = strcmp(line->values[KEY_SENDER].text, "<>") == 0;
    return line->values[KEY_SENDER].cut || line->values[KEY_LOGIN].cut ||
           line->values[KEY_LISTENER].cut || (null_sender && line->values[KEY_HELO].cut);
}

static bool is_whole(const struct verdict_line *line) {
    static const enum verdict_key needed[] = {KEY_STAGE,   KEY_LISTENER, KEY_SERVICE, KEY_CLIENT,
                                              KEY_HELO,    KEY_SENDER,   KEY_LOGIN,   KEY_SPF,
                                              KEY_VERDICT, KEY_REASON,   KEY_MODE,    KEY_WOULD};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (line->values[needed[i]].state == VALUE_MISSING)
            return false;
    return true;
}

enum unsaid past_read(const struct verdict_line *line, struct past *past) {
    *past = (struct past){0};
    if (!is_whole(line) || !read_stage(line, past) || !read_outcome(line, past))
        return UNSAID_DAMAGED;
    if (past->stage == STAGE_DATA)
        return UNSAID_HEADER;
    if (is_cut(line))
        return UNSAID_CUT;
    if (!read_names(line, past) || !read_door(line, past) || !read_client(line, past) ||
        !read_result(line, KEY_SPF, &past->spf) ||
        !read_result(line, KEY_SPF_HELO, &past->helo_spf) || !read_tls(line, past) ||
        !read_prefix(line, past))
        return UNSAID_DAMAGED;
    if (past->outcome.reason == REASON_UNKNOWN_SERVICE)
        return UNSAID_SERVICE;
    return past->outcome.reason == REASON_SENDER_AMBIGUOUS ? UNSAID_SENDER : UNSAID_NOT;
}
