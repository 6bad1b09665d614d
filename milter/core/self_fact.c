/*
 * The values of self facts. Owns their syntax; which facts there are is the table of
 * policy_field.h, what they do policy_inherit.c's.
 */
#include "gatepost/core/self_fact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gatepost/core/timestamp.h"

bool self_is_subject(const char *subject) {
    return strncmp(subject, SELF_SUBJECT, sizeof SELF_SUBJECT - 1) == 0;
}

bool fact_time_holds(const struct fact_time *time, int64_t now) {
    return now >= time->from && (time->until == 0 || now < time->until);
}

/* What is left of a value. */
struct rest {
    const char *at;
    size_t len;
};

static void skip(struct rest *rest, size_t n) {
    rest->at += n;
    rest->len -= n;
    while (rest->len > 0 && *rest->at == ' ') {
        rest->at++;
        rest->len--;
    }
}

static size_t word_of(const struct rest *rest) {
    const char *space = memchr(rest->at, ' ', rest->len);
    return space == NULL ? rest->len : (size_t)(space - rest->at);
}

/* "KEY=TIME" at the beginning: 1 and it is taken, 0 when there is none, -1 when it is malformed. */
static int take_time(struct rest *rest, const char *key, int64_t *time) {
    size_t key_len = strlen(key), len = word_of(rest);
    if (len < key_len || strncasecmp(rest->at, key, key_len) != 0)
        return 0;
    if (*time != 0 || timestamp_parse(rest->at + key_len, len - key_len, time) != 0)
        return -1;
    if (*time == 0) /* 1970-01-01T00:00:00Z, which is long ago as well */
        *time = 1;
    skip(rest, len);
    return 1;
}

int self_value_parse(const char *value, size_t len, bool has_word, struct self_value *out) {
    struct rest rest = {value, len};
    int until = 1, from = 1;
    *out = (struct self_value){.word = value};
    if (has_word) {
        out->word_len = word_of(&rest);
        skip(&rest, out->word_len);
    }
    while (until > 0 || from > 0) {
        until = take_time(&rest, "until=", &out->time.until);
        from = until < 0 ? -1 : take_time(&rest, "from=", &out->time.from);
        if (from < 0)
            return -1;
    }
    out->note = rest.at;
    out->note_len = rest.len;
    return 0;
}

char *self_value_make(const char *word, const struct fact_time *time, const char *note,
                      size_t note_len) {
    char until[TIMESTAMP_SIZE], from[TIMESTAMP_SIZE], *value;
    const char *parts[] = {word, NULL, NULL};
    char ends[2][TIMESTAMP_SIZE + sizeof "until="];
    if (time->until != 0) {
        snprintf(ends[0], sizeof ends[0], "until=%s", timestamp_format(time->until, until));
        parts[1] = ends[0];
    }
    if (time->from != 0) {
        snprintf(ends[1], sizeof ends[1], "from=%s", timestamp_format(time->from, from));
        parts[2] = ends[1];
    }
    size_t room = note_len + 2, len = 0;
    for (size_t i = 0; i < 3; i++)
        room += parts[i] == NULL ? 0 : strlen(parts[i]) + 1;
    if ((value = malloc(room)) == NULL)
        return NULL;
    value[0] = '\0';
    for (size_t i = 0; i < 3; i++)
        if (parts[i] != NULL)
            len += (size_t)snprintf(value + len, room - len, "%s%s", len == 0 ? "" : " ", parts[i]);
    if (note_len > 0)
        snprintf(value + len, room - len, "%s%.*s", len == 0 ? "" : " ", (int)note_len, note);
    return value;
}
