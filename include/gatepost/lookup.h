/*
 * The policy of one account: its three subjects, looked up together.
 */
#ifndef GATEPOST_LOOKUP_H
#define GATEPOST_LOOKUP_H

#include "gatepost/address.h"
#include "gatepost/policy_cache.h"

struct lookup {
    struct policy_set set;                 /* texts and policies below */
    struct shared_policy *known[SUBJECTS]; /* one reference each; NULL where there is no subject */
    char *memory;                          /* owned: the names of the subjects */
    bool stale;                            /* it served without the store */
};

/*
 * Looks an account up. Returns 0 and a look-up to be cleared by the caller, or -1 with the reason
 * in `why` and nothing to clear. Any thread.
 */
int lookup_account(struct policy_cache *cache, const struct address *account, struct lookup *out,
                   char *why, size_t why_size);
void lookup_clear(struct lookup *lookup);

#endif
