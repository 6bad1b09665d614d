/*
 * The policy of one account. Owns the names of its subjects and the way from the store's facts to
 * decoded policies; what they mean is policy.c's, where they are kept the store's.
 */
#include "gatepost/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/log.h"
#include "gatepost/metrics.h"

void lookup_clear(struct lookup *lookup) {
    for (size_t i = 0; i < SUBJECTS; i++) {
        policy_free(lookup->policies[i]);
        free(lookup->subjects[i]);
    }
    *lookup = (struct lookup){0};
}

static int name_subjects(struct lookup *out, const struct address *account) {
    if (asprintf(&out->subjects[SUBJECT_ACCOUNT], "account:%s", account->text) < 0)
        out->subjects[SUBJECT_ACCOUNT] = NULL;
    if (account->domain != NULL &&
        asprintf(&out->subjects[SUBJECT_DOMAIN], "account:@%s", account->domain) < 0)
        out->subjects[SUBJECT_DOMAIN] = NULL;
    out->subjects[SUBJECT_DEFAULT] = strdup("account:*");
    if (out->subjects[SUBJECT_ACCOUNT] == NULL || out->subjects[SUBJECT_DEFAULT] == NULL)
        return -1;
    return account->domain != NULL && out->subjects[SUBJECT_DOMAIN] == NULL ? -1 : 0;
}

static void log_faults(const char *key_prefix, const char *subject, const struct policy *policy) {
    char key[600];
    snprintf(key, sizeof key, "%s%s", key_prefix, subject);
    if (policy->wrong_type) {
        metrics_malformed();
        log_event(LOG_ERR, "policy-malformed", "key", key, "field", (char *)NULL, "problem",
                  "wrong type: the key must be a hash", (char *)NULL);
    }
    for (size_t i = 0; i < policy->n_faults; i++) {
        const struct policy_fault *fault = &policy->faults[i];
        if (!fault->unknown)
            metrics_malformed();
        log_event(fault->unknown ? LOG_WARNING : LOG_ERR,
                  fault->unknown ? "policy-unknown-field" : "policy-malformed", "key", key, "field",
                  fault->field, "problem", fault->why, (char *)NULL);
    }
}

/* The policy of a hash that is there; NULL when there is no memory. */
static struct policy *decode(const struct store_hash *hash) {
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

int lookup_account(struct store *store, const char *key_prefix, const struct address *account,
                   struct lookup *out, char *why, size_t why_size) {
    struct store_hash hashes[SUBJECTS];
    const char *wanted[SUBJECTS];
    size_t place[SUBJECTS] = {0}, n = 0;
    *out = (struct lookup){0};
    int rc = name_subjects(out, account);
    for (size_t i = 0; i < SUBJECTS; i++) {
        if (out->subjects[i] != NULL) {
            place[n] = i;
            wanted[n++] = out->subjects[i];
        }
    }
    if (rc != 0)
        snprintf(why, why_size, "no memory");
    bool asked = rc == 0;
    if (asked)
        rc = store_get(store, wanted, n, hashes, why, why_size);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        size_t at = place[i];
        out->set.subjects[at] = out->subjects[at];
        if (hashes[i].answer > STORE_ABSENT) {
            out->policies[at] = decode(&hashes[i]);
            out->set.policies[at] = out->policies[at];
            if (out->policies[at] == NULL) {
                snprintf(why, why_size, "no memory");
                rc = -1;
            } else {
                log_faults(key_prefix, out->subjects[at], out->policies[at]);
            }
        }
    }
    for (size_t i = 0; asked && i < n; i++)
        store_hash_clear(&hashes[i]);
    if (rc != 0)
        lookup_clear(out);
    return rc;
}
