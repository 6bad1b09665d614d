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
#include "gatepost/core/store_key.h"

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

/* A look-up logs so many faults of one key; each log line costs as much as a look-up. */
#define FAULTS_LOGGED 10

static void report_fault(const char *key, const struct policy_fault *fault) {
    if (fault->kind == FAULT_UNKNOWN_FIELD)
        log_event(LOG_WARNING, "policy-unknown-field", "key", key, "field", fault->field, "problem",
                  fault->why, (char *)NULL);
    else
        log_malformed(key, fault->field, fault->why);
}

/* Those after the first. Malformed fields are all counted. */
static void report_more(const char *key, const struct policy *policy) {
    size_t malformed = 0, more = policy->n_faults - FAULTS_LOGGED;
    char problem[100];
    for (size_t i = FAULTS_LOGGED; i < policy->n_faults; i++)
        malformed += policy->faults[i].kind != FAULT_UNKNOWN_FIELD;
    for (size_t i = 1; i < malformed; i++) /* log_malformed() counts one */
        metrics_malformed();
    snprintf(problem, sizeof problem, "%zu more fields are malformed or unknown", more);
    if (malformed > 0)
        log_malformed(key, NULL, problem);
    else
        log_event(LOG_WARNING, "policy-unknown-field", "key", key, "problem", problem,
                  (char *)NULL);
}

static void report_faults(const char *key_prefix, const char *subject,
                          const struct policy *policy) {
    char key[600], problem[100];
    if (!policy->wrong_type && !policy->too_large && policy->n_faults == 0)
        return;
    store_key_put(key, sizeof key, key_prefix, subject);
    if (policy->wrong_type)
        log_malformed(key, NULL, "wrong type: the key must be a hash");
    snprintf(problem, sizeof problem, "too large: more than %d fields or %d octets",
             STORE_FIELDS_MAX, STORE_OCTETS_MAX);
    if (policy->too_large)
        log_malformed(key, NULL, problem);
    for (size_t i = 0; i < policy->n_faults && i < FAULTS_LOGGED; i++)
        report_fault(key, &policy->faults[i]);
    if (policy->n_faults > FAULTS_LOGGED)
        report_more(key, policy);
}

struct policy *policy_decode(const char *subject, const struct store_hash *hash) {
    struct policy *policy = policy_new_of(subject);
    if (policy == NULL)
        return NULL;
    policy->wrong_type = hash->answer == STORE_WRONG_TYPE;
    policy->too_large = hash->answer == STORE_TOO_LARGE;
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
static void *make_shared(const char *subject, const struct store_hash *hash) {
    struct shared_policy *known = calloc(1, sizeof *known);
    if (known == NULL)
        return NULL;
    atomic_init(&known->references, 1);
    if (hash->answer != STORE_ABSENT && (known->policy = policy_decode(subject, hash)) == NULL) {
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
    void *made[ALL_SUBJECTS];
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
