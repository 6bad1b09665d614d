/*
 * From what the store has of a subject to its policy.
 */
#ifndef GATEPOST_CACHE_POLICY_DECODE_H
#define GATEPOST_CACHE_POLICY_DECODE_H

#include "gatepost/core/policy.h"
#include "gatepost/store/store.h"

/* The policy of a hash that is there; owned by the caller, NULL when there is no memory. */
struct policy *policy_decode(const char *subject, const struct store_hash *hash);

#endif
