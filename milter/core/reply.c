/*
 * Replies. Owns the reply codes (README.md, Reasons and replies), default texts and placeholders;
 * does not know who sends them.
 */
#include "gatepost/core/reply.h"

#include <stdio.h>
#include <string.h>

#include "gatepost/core/textbuf.h"

/* Octets of one value that a reply shows: RFC 5321 4.5.3.1.5 leaves 512 for the whole line. */
#define VALUE_MAX 120

enum placeholder {
    PLACE_ACCOUNT,
    PLACE_SERVICE,
    PLACE_CLIENT,
    PLACE_SENDER,
    PLACE_LOGIN,
    PLACE_AS,
    PLACE_HELO,
    PLACE_LISTENER,
    PLACE_DOMAIN,
    PLACE_EXPLANATION,
    PLACE_SESSION,
    PLACE_REASON,
    PLACE_SPF,
    PLACEHOLDERS
};

static const char *const placeholder_names[PLACEHOLDERS] = {
    "account",  "service", "client",      "sender",  "login",  "as", "helo",
    "listener", "domain",  "explanation", "session", "reason", "spf"};

static const char *const default_templates[REASONS] = {
    [REASON_NOT_ALLOWLISTED] = "client {client} is not in the networks that may connect here",
    [REASON_TLS_REQUIRED] = "sending as {account} through {service} needs TLS: "
                            "give STARTTLS first or use an encrypted port",
    [REASON_AUTH_REQUIRED] = "sending as {account} through {service} needs a login: "
                             "authenticate first",
    [REASON_PROTOCOL_DISABLED] = "{service} is switched off for {account}: "
                                 "switch it on in the account's settings",
    [REASON_IP_NOT_AUTHORIZED] = "{account} may not send from {client}: "
                                 "the address is not in the account's list of authorized ones",
    [REASON_UNKNOWN_SENDER] = "{account} is not registered to send here: "
                              "neither the address nor its domain is known",
    [REASON_UNKNOWN_LOGIN] = "the login {account} is not registered here: "
                             "log in with the full address of the account",
    [REASON_SENDER_NOT_OWNED] = "{account} may not send as {as}; "
                                "to allow it: gatepostctl as add {account} {as}",
    [REASON_SPF] = "{domain} does not authorize {client} to send mail as {account} (SPF {spf})",
    [REASON_SPF_REQUIRED] = "{account} may send only from its listed addresses or with an SPF "
                            "pass: {client} is not listed and SPF says {spf}",
    [REASON_SPF_TOO_WIDE] = "{account} may send only from its listed addresses or with an SPF pass "
                            "that says something: {client} is not listed, and the SPF record of "
                            "{domain} passes almost any address",
    [REASON_POLICY_UNAVAILABLE] = "the policy of {account} is unavailable: try again later",
    [REASON_SENDER_AMBIGUOUS] = "{sender} can be read in too many ways",
    [REASON_POLICY_MALFORMED] = "the policy of {account} cannot be read: "
                                "its administrator must correct it, try again later",
    [REASON_HEADER_FORGED] = "mail from {account} has more than 100 header fields that claim to be "
                             "written by this server: remove them",
};

/* At the other doors nobody sends. */
static const char *const door_templates[REASONS] = {
    [REASON_TLS_REQUIRED] = "{service} of {account} needs TLS: switch encryption on in the "
                            "settings of the mail program",
    [REASON_IP_NOT_AUTHORIZED] = "{account} may not log in to {service} from {client}: "
                                 "the address is not in the account's list of authorized ones",
    [REASON_APP_PASSWORD_REQUIRED] = "{account} takes only app passwords for {service}: "
                                     "make one in the account's settings",
    [REASON_SPF] = "the SPF record of {domain} cannot be fetched, so {account} cannot log in to "
                   "{service} now: try again later",
    [REASON_UNKNOWN_SERVICE] = "there is no service {service} here",
};

/* The result that decided: of the sender's SPF record, or of a provider's. */
static enum spf_result result_of(const struct verdict *verdict) {
    return verdict->provider != NULL ? RESULT_TEMPERROR : verdict->spf;
}

const char *reply_default_template(const struct verdict *verdict) {
    if (verdict->reason == REASON_SPF && result_of(verdict) == RESULT_TEMPERROR &&
        verdict->door == DOOR_MTA)
        return "the SPF record of {domain} cannot be fetched, so mail from {account} must wait: "
               "try again later";
    if (verdict->reason == REASON_SPF && verdict->spf == RESULT_PERMERROR)
        return "the SPF record of {domain} is in error, so mail from {account} is refused: "
               "its owner must correct it (SPF permerror)";
    if (verdict->reason == REASON_POLICY_UNAVAILABLE && verdict->kind == VERDICT_REJECT)
        return "the policy of {account} is unavailable, and nothing is accepted without it";
    const char *text = default_templates[verdict->reason];
    if (verdict->door != DOOR_MTA && door_templates[verdict->reason] != NULL)
        text = door_templates[verdict->reason];
    return text != NULL ? text : "mail from {account} is refused ({reason})";
}

/* The placeholder of `len` octets, -1 when there is none of that name. */
static int find_placeholder(const char *name, size_t len) {
    for (int i = 0; i < PLACEHOLDERS; i++)
        if (strlen(placeholder_names[i]) == len && memcmp(placeholder_names[i], name, len) == 0)
            return i;
    return -1;
}

int reply_check_template(const char *text, struct why *why) {
    if (text[0] == '\0')
        return why_set(why, "the text is empty");
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
            return why_set(why, "the text must be one line of printable US-ASCII");
        if (*p != '{')
            continue;
        size_t len = strcspn(p + 1, "}");
        if (find_placeholder(p + 1, len) < 0 || p[1 + len] != '}') {
            return why_set(
                why,
                "unknown placeholder {%.*s}: known are account, service, client, sender, "
                "login, as, helo, listener, domain, explanation, session, reason and spf",
                (int)(len < 30 ? len : 30), p + 1);
        }
        p += 1 + len;
    }
    return 0;
}

static const char *value_of(enum placeholder place, const struct verdict *verdict,
                            const struct reply_values *values) {
    switch (place) {
    case PLACE_ACCOUNT:
        return values->account;
    case PLACE_SERVICE:
        return values->service;
    case PLACE_CLIENT:
        return values->client;
    case PLACE_SENDER:
        return values->sender;
    case PLACE_LOGIN:
        return values->login;
    case PLACE_AS:
        return values->as;
    case PLACE_HELO:
        return values->helo;
    case PLACE_LISTENER:
        return values->listener;
    case PLACE_DOMAIN:
        return values->domain;
    case PLACE_EXPLANATION:
        return values->explanation;
    case PLACE_SESSION:
        return values->session;
    case PLACE_REASON:
        return reason_name(verdict->reason);
    case PLACE_SPF:
        return verdict->identity == IDENTITY_NONE && verdict->provider == NULL
                   ? NULL
                   : spf_result_name(result_of(verdict));
    case PLACEHOLDERS:
        break;
    }
    return NULL;
}

static void fill(struct textbuf *buf, const char *template, const struct verdict *verdict,
                 const struct reply_values *values) {
    for (const char *p = template; *p != '\0'; p++) {
        size_t len = *p == '{' ? strcspn(p + 1, "}") : 0;
        int place = *p == '{' ? find_placeholder(p + 1, len) : -1;
        if (place < 0) {
            char octet[2] = {*p, '\0'};
            textbuf_put_reply(buf, octet, 1);
            continue;
        }
        const char *value = value_of((enum placeholder)place, verdict, values);
        textbuf_put_reply(buf, value == NULL ? "-" : value, VALUE_MAX);
        p += 1 + len;
    }
}

/* A cut may have parted a doubled '%': an odd run at the end loses one. */
static void mend_percent(struct textbuf *buf) {
    size_t run = 0;
    while (run < buf->len && buf->data[buf->len - 1 - run] == '%')
        run++;
    if (run % 2 == 1)
        buf->data[--buf->len] = '\0';
}

static const char *reject_status(const struct verdict *v) {
    switch (v->reason) {
    case REASON_TLS_REQUIRED:
    case REASON_AUTH_REQUIRED:
        return "5.7.0";
    case REASON_SPF_REQUIRED:
    case REASON_SPF_TOO_WIDE:
        return "5.7.23";
    case REASON_SPF:
        if (v->spf == RESULT_TEMPERROR || v->spf == RESULT_PERMERROR)
            return "5.7.24";
        return v->spf == RESULT_PASS ? "5.7.1" : "5.7.23";
    case REASON_POLICY_UNAVAILABLE:
        return "5.3.0";
    default:
        return "5.7.1";
    }
}

static const char *defer_status(const struct verdict *v) {
    if (v->reason == REASON_POLICY_MALFORMED)
        return "4.3.5";
    if (v->reason != REASON_SPF)
        return "4.3.0";
    if (result_of(v) == RESULT_TEMPERROR || v->spf == RESULT_PERMERROR)
        return "4.7.24";
    return v->spf == RESULT_PASS ? "4.7.1" : "4.7.23";
}

static const char *reject_code(enum reason reason) {
    if (reason == REASON_NOT_ALLOWLISTED)
        return "554";
    if (reason == REASON_SENDER_NOT_OWNED)
        return "553";
    return reason == REASON_TLS_REQUIRED || reason == REASON_AUTH_REQUIRED ? "530" : "550";
}

/* A single '%' is no danger to those who speak no SMTP. */
static void undouble_percent(char *text) {
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        *to++ = *from;
        if (from[0] == '%' && from[1] == '%')
            from++;
    }
    *to = '\0';
}

void reply_format(const struct reply *reply, enum door door, char *out, size_t size) {
    bool smtp = door == DOOR_MTA;
    snprintf(out, size, "%s%s%s%s%s", smtp ? reply->code : "", smtp ? " " : "",
             smtp ? reply->enhanced : "", smtp ? " " : "", reply->text);
}

void reply_render(const struct verdict *given, const char *template,
                  const struct reply_values *values, struct reply *out) {
    char ending_text[80];
    struct textbuf ending, text;
    bool ambiguous = given->reason == REASON_SENDER_AMBIGUOUS;
    struct verdict read = *given; /* the codes and the text are those of the reading that decides */
    const struct verdict *verdict = &read;
    if (ambiguous)
        read.reason = given->read_as;
    bool defer = verdict->kind == VERDICT_DEFER;
    *out = (struct reply){.code = ""};
    snprintf(out->code, sizeof out->code, "%s", defer ? "451" : reject_code(verdict->reason));
    snprintf(out->enhanced, sizeof out->enhanced, "%s",
             defer ? defer_status(verdict) : reject_status(verdict));
    textbuf_init(&ending, ending_text, sizeof ending_text);
    textbuf_puts(&ending, "; session ");
    textbuf_put_reply(&ending, values->session == NULL ? "-" : values->session, 40);
    size_t room = sizeof out->text - ending.len;
    size_t over = values->prefix > REPLY_PREFIX ? values->prefix - REPLY_PREFIX : 0;
    textbuf_init(&text, out->text, room > over + REPLY_PREFIX ? room - over : REPLY_PREFIX);
    if (template == NULL && ambiguous && read.reason != REASON_SENDER_AMBIGUOUS)
        fill(&text,
             read.reason == REASON_SENDER_NOT_OWNED ? "{sender} can be read as {as}: "
                                                    : "{sender} can be read as {account}: ",
             given, values);
    fill(&text, template != NULL ? template : reply_default_template(verdict),
         template != NULL ? given : verdict, values);
    if (template == NULL && verdict->reason == REASON_SPF && values->explanation != NULL)
        fill(&text, ". {domain} explains: {explanation}", verdict, values);
    mend_percent(&text);
    text.size = sizeof out->text;
    textbuf_puts(&text, ending.data);
    if (verdict->door != DOOR_MTA)
        undouble_percent(out->text);
}
