/*
 * Policies from the store. Owns the way from facts to a decoded policy and the report of what is
 * malformed in them; what facts mean is policy.c's, how long they are kept the cache's.
 */
#include "policy_fetch.h"

#include <stdio.h>
#include <stdlib.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"
#include "gatepost/base/metrics.h"
#include "gatepost/cache/policy_decode.h"

struct shared_policy *shared_policy_acquire(struct shared_policy *known) {
    atomic_fetch_add_explicit(&known->references, 1, memory_order_relaxed);
    return known;
}

void shared_policy_release(struct shared_policy *known) {
    if (known == NULL || atomic_fetch_sub(&known->references, 1) != 1)
        return;
    policy_free(known->policy);
    free(known);
}

static void report_faults(const char *key_prefix, const char *subject,
                          const struct policy *policy) {
    char key[600];
    if (!policy->wrong_type && policy->n_faults == 0)
        return;
    snprintf(key, sizeof key, "%s%s", key_prefix, subject);
    if (policy->wrong_type)
        log_malformed(key, NULL, "wrong type: the key must be a hash");
    for (size_t i = 0; i < policy->n_faults; i++) {
        const struct policy_fault *fault = &policy->faults[i];
        if (fault->kind == FAULT_UNKNOWN_FIELD)
            log_event(LOG_WARNING, "policy-unknown-field", "key", key, "field", fault->field,
                      "problem", fault->why, (char *)NULL);
        else
            log_malformed(key, fault->field, fault->why);
    }
}

struct policy *policy_decode(const struct store_hash *hash) {
    struct policy *policy = policy_new();
    if (policy == NULL)
        return NULL;
    policy->wrong_type = hash->answer == STORE_WRONG_TYPE;
    for (size_t i = 0; i < hash->n; i++) {
        const struct store_field *f = &hash->fields[i];
        if (policy_add(policy, f->name, f->name_len, f->value, f->value_len) != 0) {
            policy_free(policy);
            return NULL;
        }
    }
    return policy;
}

/* What an answered hash says, as store_maker. */
static void *make_shared(const struct store_hash *hash) {
    struct shared_policy *known = calloc(1, sizeof *known);
    if (known == NULL)
        return NULL;
    atomic_init(&known->references, 1);
    if (hash->answer != STORE_ABSENT && (known->policy = policy_decode(hash)) == NULL) {
        free(known);
        return NULL;
    }
    return known;
}

static void acquire_made(void *made) {
    shared_policy_acquire(made);
}

static void release_made(void *made) {
    shared_policy_release(made);
}

int policy_fetch(struct store *store, const char *key_prefix, const char *const *subjects, size_t n,
                 struct shared_policy **out, int64_t deadline, struct why *why) {
    static const struct store_maker maker = {make_shared, acquire_made, release_made};
    void *made[SUBJECTS];
    int64_t begin = clock_now_us();
    int rc = store_get_made(store, subjects, n, &maker, made, deadline, why);
    metrics_store(rc == 0 ? OUTCOME_OK : OUTCOME_ERROR, clock_now_us() - begin);
    for (size_t i = 0; i < n; i++) {
        out[i] = made[i];
        if (out[i] != NULL && out[i]->policy != NULL)
            report_faults(key_prefix, subjects[i], out[i]->policy);
    }
    return rc;
}
