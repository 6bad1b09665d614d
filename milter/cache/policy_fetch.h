/*
 * Policies as the store has them now: subjects asked for, decoded once, shared by reference.
 */
#ifndef GATEPOST_CACHE_POLICY_FETCH_H
#define GATEPOST_CACHE_POLICY_FETCH_H

#include <stdatomic.h>

#include "epochs.h"
#include "gatepost/core/policy.h"
#include "gatepost/core/why.h"
#include "gatepost/store/store.h"

/* What the store said of one subject. Never changes; any number of threads may read it. */
struct shared_policy {
    atomic_uint references;
    struct policy *policy;   /* NULL: the subject is absent */
    struct epoch_mark asked; /* the cache's; written before others have the policy */
};

/*
 * Asks for `n` subjects at once, at most ALL_SUBJECTS. A store at hand decodes each only once,
 * until it changes; nothing may then be written into what it gives. What is malformed is logged
 * with its key
 * (`key_prefix` and subject), field and reason, and counted. out[i] is what the store said of
 * subjects[i], with one reference of the caller's, or NULL where it was not answered. Returns 0
 * when every one is answered, or -1 with the reason in `why`.
 */
int policy_fetch(struct store *store, const char *key_prefix, const char *const *subjects, size_t n,
                 struct shared_policy **out, int64_t deadline, struct why *why);

struct shared_policy *shared_policy_acquire(struct shared_policy *known);
void shared_policy_release(struct shared_policy *known);

#endif
