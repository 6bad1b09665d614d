/*
 * What `lint` finds of self facts. Owns what is said of those that have ended, or that nobody asks
 * for; what is malformed is fact_check.c's and policy.c's to say.
 */
#include "gatepost/core/timestamp.h"
#include "lint.h"

static void lint_end(struct lint *lint, const char *subject, const char *field, int64_t until) {
    char ended[TIMESTAMP_SIZE];
    if (until != 0 && until <= lint->ctl->now)
        lint_noted(lint, "expired", subject, field,
                   "ended on %s; it goes when the user changes something",
                   timestamp_format(until, ended));
}

void lint_self(struct lint *lint, const char *subject, const struct store_hash *hash) {
    lint_facts(lint, subject, hash);
    struct policy *policy = ctl_decode(subject, hash);
    for (size_t i = 0; policy != NULL && i < POLICY_SETTINGS; i++)
        if (policy->settings[i].state == SETTING_SET)
            lint_end(lint, subject, policy->settings[i].field, policy->settings[i].time.until);
    for (size_t i = 0; policy != NULL && i < policy->n_protocols; i++)
        if (policy->protocols[i].on.state == SETTING_SET)
            lint_end(lint, subject, policy->protocols[i].on.field,
                     policy->protocols[i].on.time.until);
    for (size_t i = 0; policy != NULL && i < policy->n_ips; i++)
        if (!policy->ips[i].malformed)
            lint_end(lint, subject, policy->ips[i].field, policy->ips[i].until);
    policy_free(policy);
}

void lint_selves(struct lint *lint, const struct lint_selves *selves) {
    if (selves->n > 0 && !lint->ctl->config->self_facts)
        lint_found(lint, "self-unused", NULL, NULL,
                   "%zu users have set something themselves, which has no effect: this "
                   "configuration has no settings section",
                   selves->n);
    if (selves->strangers > 0)
        lint_noted(lint, "self-stranger", NULL, NULL,
                   "%zu users with something of their own have no policy of the host's, such as "
                   "%.300s; of accounts that are no more, account delete removes it",
                   selves->strangers, selves->stranger);
}
