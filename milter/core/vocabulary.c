/*
 * The spellings of every word that users see. Owns the tables; knows nothing of what the words
 * bring about.
 */
#include "gatepost/core/vocabulary.h"

#include <string.h>
#include <strings.h>

static const char *const verdict_names[] = {"accept", "mark", "defer", "reject"};

static const char *const reason_names[] = {
    [REASON_NOT_ALLOWLISTED] = "not-allowlisted",
    [REASON_TRUSTED] = "trusted",
    [REASON_TLS_REQUIRED] = "tls-required",
    [REASON_AUTH_REQUIRED] = "auth-required",
    [REASON_ACCOUNT] = "account",
    [REASON_PROTOCOL_DISABLED] = "protocol-disabled",
    [REASON_IP_NOT_AUTHORIZED] = "ip-not-authorized",
    [REASON_IP_AUTHORIZED] = "ip-authorized",
    [REASON_UNKNOWN_SENDER] = "unknown-sender",
    [REASON_UNKNOWN_LOGIN] = "unknown-login",
    [REASON_SENDER_NOT_OWNED] = "sender-not-owned",
    [REASON_SPF] = "spf",
    [REASON_SPF_PASS] = "spf-pass",
    [REASON_SPF_REQUIRED] = "spf-required",
    [REASON_SPF_TOO_WIDE] = "spf-too-wide",
    [REASON_POLICY_UNAVAILABLE] = "policy-unavailable",
    [REASON_POLICY_MALFORMED] = "policy-malformed",
    [REASON_SENDER_AMBIGUOUS] = "sender-ambiguous",
    [REASON_HEADER_FORGED] = "header-forged",
    [REASON_UNKNOWN_SERVICE] = "unknown-service",
    [REASON_APP_PASSWORD_REQUIRED] = "app-password-required",
};

static const char *const stage_names[STAGES] = {"connect", "mail", "data", "door"};
static const char *const door_names[DOORS] = {"mta", "dovecot", "http"};
static const char *const spf_result_names[] = {"none", "neutral",   "pass",     "softfail",
                                               "fail", "temperror", "permerror"};
static const char *const need_names[] = {"required", "optional"};
static const char *const mode_names[] = {"enforce", "monitor"};
static const char *const switch_names[] = {"on", "off"};
static const char *const service_names[] = {"smtp",   "submission", "submissions", "imap",
                                            "pop3",   "sieve",      "caldav",      "carddav",
                                            "webdav", "activesync", "jmap",        "webmail"};

const struct words verdict_words = WORDS(verdict_names, "accept, mark, defer or reject");
const struct words reason_words =
    WORDS(reason_names, "not-allowlisted, tls-required, auth-required, protocol-disabled, "
                        "ip-not-authorized, unknown-sender, unknown-login, sender-not-owned, "
                        "spf, spf-required, spf-too-wide, policy-unavailable, policy-malformed, "
                        "sender-ambiguous, header-forged, "
                        "unknown-service or app-password-required");
const struct words spf_result_words =
    WORDS(spf_result_names, "none, neutral, pass, softfail, fail, temperror or permerror");
const struct words need_words = WORDS(need_names, "required or optional");
const struct words service_words =
    WORDS(service_names, "smtp, submission, submissions, imap, pop3, sieve, caldav, carddav, "
                         "webdav, activesync, jmap and webmail");
const struct words door_words = WORDS(door_names, "mta, dovecot or http");
const struct words mode_words = WORDS(mode_names, "enforce or monitor");
const struct words switch_words = WORDS(switch_names, "on or off");

const char *verdict_name(enum verdict_kind kind) {
    return verdict_names[kind];
}

const char *reason_name(enum reason reason) {
    return reason_names[reason];
}

const char *spf_result_name(enum spf_result result) {
    return spf_result_names[result];
}

const char *stage_name(enum stage stage) {
    return stage_names[stage];
}

const char *door_name(enum door door) {
    return door_names[door];
}

static bool equals(const char *word, const char *text, size_t len) {
    return strlen(word) == len && strncasecmp(word, text, len) == 0;
}

int words_find(const struct words *words, const char *text, size_t len) {
    for (size_t i = 0; i < words->count; i++)
        if (equals(words->names[i], text, len))
            return (int)i;
    return -1;
}

int switch_parse(const char *text, size_t len) {
    static const char *const spellings[][2] = {
        {"off", "on"}, {"no", "yes"}, {"false", "true"}, {"0", "1"}, {"disabled", "enabled"}};
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        for (int on = 0; on <= 1; on++)
            if (equals(spellings[i][on], text, len))
                return on;
    return -1;
}
