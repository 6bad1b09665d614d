/*
 * Settings and switches as they hold for an account, for those who show them.
 *
 * Texts are the policy's, the configuration's, or constants: they last as long as these.
 */
#ifndef GATEPOST_CTL_SHOWN_H
#define GATEPOST_CTL_SHOWN_H

#include "gatepost/decision.h"
#include "gatepost/json_text.h"

/* One setting or switch as it holds. */
struct shown {
    const char *name;  /* "source", "spf:fail", "imap" */
    const char *value; /* "malformed" when it cannot be read */
    const char *from;  /* account, domain, default, configuration, built-in */
    struct policy_origin origin;
};

struct shown shown_source(const struct policy_set *set);
bool shown_is_authorized(const struct shown *source);
struct shown shown_tls(const struct policy_set *set);
struct shown shown_protocol(const struct policy_set *set, const char *name);

/* These also ask the configuration; a `mode = monitor` of its own comes before every account's. */
struct shown shown_mode(const struct decision_rules *rules, const struct policy_set *set);
struct shown shown_spf(const struct decision_rules *rules, const struct policy_set *set,
                       enum spf_result result);

/* allowed or refused */
struct shown shown_service(const struct decision_rules *rules, const struct policy_set *set,
                           const char *name);

/* {"value": ..., "from": ..., "subject": ..., "field": ...}; a new reference. */
json_t *shown_json(const struct shown *s);

#endif
