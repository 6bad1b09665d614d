/*
 * The words that users see, and their spellings: verdicts, reasons, SPF results, settings. One
 * table each, so that configuration, policy, replies, logs and documentation say the same.
 *
 * Pure constants; every function may be called from any thread.
 */
#ifndef GATEPOST_CORE_VOCABULARY_H
#define GATEPOST_CORE_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>

/* In order of severity. As an action of the `spf` section the same four words. */
enum verdict_kind { VERDICT_ACCEPT, VERDICT_MARK, VERDICT_DEFER, VERDICT_REJECT, VERDICT_KINDS };

enum reason {
    REASON_NOT_ALLOWLISTED,
    REASON_TRUSTED,
    REASON_TLS_REQUIRED,
    REASON_AUTH_REQUIRED,
    REASON_ACCOUNT,
    REASON_PROTOCOL_DISABLED,
    REASON_IP_NOT_AUTHORIZED,
    REASON_IP_AUTHORIZED,
    REASON_UNKNOWN_SENDER,
    REASON_UNKNOWN_LOGIN,
    REASON_SENDER_NOT_OWNED,
    REASON_SPF,
    REASON_SPF_PASS,
    REASON_SPF_REQUIRED,
    REASON_SPF_TOO_WIDE,
    REASON_POLICY_UNAVAILABLE,
    REASON_POLICY_MALFORMED,
    REASON_SENDER_AMBIGUOUS,
    REASON_HEADER_FORGED,
    REASON_UNKNOWN_SERVICE,
    REASON_APP_PASSWORD_REQUIRED,
    REASONS
};

/* When a verdict is asked for; a login anywhere but at the MTA has a stage of its own. */
enum stage { STAGE_CONNECT, STAGE_MAIL, STAGE_DATA, STAGE_DOOR, STAGES };

/* Where somebody comes in: the MTA, Dovecot, a location behind a reverse proxy. */
enum door { DOOR_MTA, DOOR_DOVECOT, DOOR_HTTP, DOORS };

/* RFC 7208 2.6 */
enum spf_result {
    RESULT_NONE,
    RESULT_NEUTRAL,
    RESULT_PASS,
    RESULT_SOFTFAIL,
    RESULT_FAIL,
    RESULT_TEMPERROR,
    RESULT_PERMERROR,
    SPF_RESULTS
};

enum need { NEED_REQUIRED, NEED_OPTIONAL };
enum mode { MODE_ENFORCE, MODE_MONITOR };

/* The spelling of a word; a static text. */
const char *verdict_name(enum verdict_kind kind);
const char *reason_name(enum reason reason);
const char *spf_result_name(enum spf_result result);
const char *stage_name(enum stage stage);
const char *door_name(enum door door);

/* A set of words: names[value] is the spelling of `value`. */
struct words {
    const char *const *names;
    size_t count;
    const char *listed; /* the same words for an error message: "any or authorized" */
};

/* The set of an array of spellings. */
#define WORDS(names, listed)                                                                       \
    { names, sizeof names / sizeof *names, listed }

extern const struct words verdict_words, reason_words, spf_result_words;
extern const struct words need_words, mode_words, service_words, door_words;

/* The spelling of on and off that people are shown; switch_parse() takes more. No values. */
extern const struct words switch_words;

/* The value of `text` (`len` octets) in the set, any case, or -1 when it is none of its words. */
int words_find(const struct words *words, const char *text, size_t len);

/*
 * on/off, yes/no, true/false, 1/0, enabled/disabled in any case: 1 on, 0 off, -1 anything else.
 */
int switch_parse(const char *text, size_t len);

#endif
