/*
 * Whom would a change lock out? Asked before each write. Pure.
 */
#ifndef GATEPOST_WRITE_GUARD_H
#define GATEPOST_WRITE_GUARD_H

#include "gatepost/config/config.h"
#include "gatepost/core/policy.h"
#include "gatepost/core/why.h"

/*
 * Compares what a subject could do before and after: with `source authorized` and no listed
 * address it may send from nowhere, with the last service switched off by none. What was so before
 * is no change. Returns true with the reason.
 */
bool guard_policy(const struct config *config, const struct policy_set *before,
                  const struct policy_set *after, int64_t now, struct why *why);

/* The same of a network that loses its last member in the store. */
bool guard_network(const struct config *config, const char *name, struct why *why);

#endif
