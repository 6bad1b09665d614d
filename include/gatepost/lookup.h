/*
 * The policy of one account: its three subjects fetched from the store and decoded.
 */
#ifndef GATEPOST_LOOKUP_H
#define GATEPOST_LOOKUP_H

#include "gatepost/address.h"
#include "gatepost/policy.h"
#include "gatepost/store.h"

struct lookup {
    struct policy_set set;             /* texts and policies below */
    struct policy *policies[SUBJECTS]; /* owned */
    char *subjects[SUBJECTS];          /* owned; NULL for the domain of an account without one */
};

/*
 * Fetches and decodes. What is malformed is logged with its key (`key_prefix` and subject), field
 * and reason. Returns 0 and a look-up to be cleared by the caller, or -1 with the reason in `why`
 * and nothing to clear. Any thread.
 */
int lookup_account(struct store *store, const char *key_prefix, const struct address *account,
                   struct lookup *out, char *why, size_t why_size);
void lookup_clear(struct lookup *lookup);

#endif
