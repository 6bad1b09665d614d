/*
 * Whom would a change lock out? Asked before each write. Pure.
 */
#ifndef GATEPOST_WRITE_GUARD_H
#define GATEPOST_WRITE_GUARD_H

#include "gatepost/config/config.h"
#include "gatepost/core/policy.h"
#include "gatepost/core/why.h"

/* What somebody would lose by a change. */
enum guard_loss {
    GUARD_NOTHING = 0,
    GUARD_ADDRESSES, /* no login could send from anywhere: no address is listed */
    GUARD_PROVIDERS, /* some ip:spf: entries would have no effect */
    GUARD_SENDING,   /* the last service for sending */
    GUARD_LOGINS     /* the last that a login can send by */
};

/*
 * Compares what a subject could do before and after: with `source authorized` and no listed
 * address it may send from nowhere, with the last service switched off by none. What was so before
 * is no change. Returns the loss, with the reason for an operator.
 */
enum guard_loss guard_policy(const struct config *config, const struct policy_set *before,
                             const struct policy_set *after, int64_t now, struct why *why);

/*
 * Would a change open up more than its writer may think: by an `ip:` entry that lists nearly
 * everybody or, with `inherited_goes`, by deleting a policy that others inherit and that holds them
 * back? Of the subject's own policy before and after; NULL where there is none. As above.
 */
bool guard_opening(const struct policy *before, const struct policy *after, bool inherited_goes,
                   int64_t now, struct why *why);

/*
 * The same of a member that is added to a network: one that has nearly every client, or one of a
 * network whose name is a misspelling of one that the configuration asks for.
 */
bool guard_member(const struct config *config, const char *name, const char *member, size_t len,
                  struct why *why);

/* The same of a network that loses its last member in the store. */
bool guard_network(const struct config *config, const char *name, struct why *why);

#endif
