/*
 * Settings and switches as they hold for an account, for those who show them.
 *
 * Texts are the policy's, the configuration's, or constants: they last as long as these.
 */
#ifndef GATEPOST_CTL_EFFECTIVE_H
#define GATEPOST_CTL_EFFECTIVE_H

#include "gatepost/base/json_text.h"
#include "gatepost/config/config.h"
#include "gatepost/core/decision.h"
#include "gatepost/core/policy_field.h"

/* One setting or switch as it holds. */
struct effective {
    const char *name;  /* "source", "spf:fail", "imap" */
    const char *value; /* "malformed" when it cannot be read */
    const char *from;  /* self, account, domain, default, configuration, built-in */
    struct policy_origin origin;
    int64_t until; /* of self: when it ends, seconds since the epoch; 0: it does not */
};

/*
 * One setting of a field that has settings, `number` as in policy_field_setting_name(). Where the
 * policy has none the configuration's or the default holds; a `mode = monitor` of the
 * configuration comes before every account's.
 */
struct effective effective_setting(const struct decision_rules *rules, const struct policy_set *set,
                                   enum policy_field_id id, size_t number);

/* A protocol, on or off. */
struct effective effective_protocol(const struct policy_set *set, const char *name);

/* allowed or refused */
struct effective effective_service(const struct decision_rules *rules, const struct policy_set *set,
                                   const char *name);

/*
 * Does some listener have the service, or one that the protocol contains? Without listeners there
 * is the MTA, by what it says of the session.
 */
bool effective_is_served(const struct config *config, const char *service);
bool effective_protocol_is_served(const struct config *config, const char *protocol);

/* {"value": ..., "from": ..., "subject": ..., "field": ...}, and "until" where it ends; a new
 * reference. */
json_t *effective_json(const struct effective *s);

#endif
