/*
 * The policy of one account: its subjects, looked up together.
 */
#ifndef GATEPOST_CACHE_ACCOUNT_LOOKUP_H
#define GATEPOST_CACHE_ACCOUNT_LOOKUP_H

#include <stdbool.h>

#include "gatepost/core/address.h"
#include "gatepost/core/policy.h"
#include "gatepost/core/why.h"

struct policy_cache;
struct shared_policy;

struct account_lookup {
    struct policy_set set;                     /* texts and policies below */
    struct shared_policy *known[ALL_SUBJECTS]; /* one reference each; NULL for no subject */
    char *memory;                              /* owned: the names of the subjects */
    bool stale;                                /* it served without the store */
};

/*
 * Looks an account up in the cache of a live store. Returns 0 and a look-up to be cleared by the
 * caller, or -1 with the reason in `why` and nothing to clear. Any thread.
 */
int account_lookup_find(struct policy_cache *cache, const struct address *account,
                        struct account_lookup *out, int64_t deadline, struct why *why);
void account_lookup_clear(struct account_lookup *lookup);

#endif
