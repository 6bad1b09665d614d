/*
 * What an account's host and its user have set, as it is read for the user. Private to self/.
 */
#ifndef GATEPOST_WRITE_SELF_SELF_FACTS_H
#define GATEPOST_WRITE_SELF_SELF_FACTS_H

#include "gatepost/core/policy.h"
#include "gatepost/store/store.h"

struct self_facts {
    struct policy_set set;
    struct store_hash hashes[ALL_SUBJECTS];
    struct policy *policies[ALL_SUBJECTS];
    char *names;    /* the memory of the subjects */
    uint64_t state; /* of all of them; never 0 */
};

/*
 * Reads all subjects of a canonical account, for `now`. Returns 0, or -1 with the reason; to be
 * cleared in both cases.
 */
int self_facts_read(struct store *store, const char *account, int64_t now, struct self_facts *out,
                    struct why *why);
void self_facts_clear(struct self_facts *facts);

/* The state that it would have with another one of the user's own (store_state(); 0: none). */
uint64_t self_facts_state(const struct self_facts *facts, uint64_t own);

/* What the host says, without the user's own. */
struct policy_set self_facts_host(const struct policy_set *set);

/*
 * The stored field of that name; NULL: there is none. It is looked for from *at on, 0 at first,
 * which then is the place behind it: whoever asks in the order of the hash finds each at once.
 */
const struct store_field *self_facts_field(const struct store_hash *hash, const char *name,
                                           size_t *at);

#endif
