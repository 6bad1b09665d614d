/*
 * What is read for a user. Owns the names of his subjects and the state of all of them together;
 * what facts mean is policy.c's.
 */
#include "self_facts.h"

#include <stdlib.h>
#include <string.h>

#include "gatepost/write/writer.h"

#define ACCOUNT "account:"

static int name_subjects(struct self_facts *out, const char *account) {
    const char *at_sign = strrchr(account, '@'), *domain = at_sign == NULL ? NULL : at_sign + 1;
    const char *parents[PARENTS_MAX];
    size_t n = domain == NULL ? 0 : parents_of(domain, parents);
    size_t size = (3 + n) * (sizeof ACCOUNT "@" + strlen(account));
    char *at = out->names = malloc(size);
    if (at == NULL)
        return -1;
    out->set.subjects[SUBJECT_ACCOUNT] = at;
    at = stpcpy(stpcpy(at, ACCOUNT), account) + 1;
    out->set.subjects[SUBJECT_SELF] = at;
    at = stpcpy(stpcpy(at, SELF_SUBJECT), account) + 1;
    if (domain != NULL) {
        out->set.subjects[SUBJECT_DOMAIN] = at;
        at = stpcpy(stpcpy(at, ACCOUNT "@"), domain) + 1;
    }
    for (size_t i = 0; i < n; i++) {
        out->set.subjects[SUBJECT_PARENT + i] = at;
        at = stpcpy(stpcpy(at, ACCOUNT "@"), parents[i]) + 1;
    }
    out->set.subjects[SUBJECT_DEFAULT] = ACCOUNT "*";
    return 0;
}

static int decode(struct self_facts *facts, size_t i) {
    const struct store_hash *hash = &facts->hashes[i];
    if (hash->answer == STORE_ABSENT)
        return 0;
    struct policy *policy = policy_new_of(facts->set.subjects[i]);
    if (policy == NULL)
        return -1;
    facts->set.policies[i] = facts->policies[i] = policy;
    policy->wrong_type = hash->answer == STORE_WRONG_TYPE;
    policy->too_large = hash->answer == STORE_TOO_LARGE;
    for (size_t j = 0; j < hash->n; j++) {
        const struct store_field *f = &hash->fields[j];
        if (policy_add(policy, f->name, f->name_len, f->value, f->value_len) != 0)
            return -1;
    }
    return 0;
}

/* One number for each subject's state, that none can take the place of another. */
static uint64_t mix(uint64_t state, size_t subject) {
    char octets[sizeof state + 1] = {(char)('a' + subject)};
    memcpy(octets + 1, &state, sizeof state);
    return store_state_of(octets, sizeof octets, "", 0);
}

uint64_t self_facts_state(const struct self_facts *facts, uint64_t own) {
    uint64_t sum = 0;
    for (size_t i = 0; i < ALL_SUBJECTS; i++) {
        const struct store_hash *hash = &facts->hashes[i];
        uint64_t state = i == SUBJECT_SELF             ? own
                         : hash->answer == STORE_FOUND ? store_state(hash->fields, hash->n)
                                                       : 0;
        sum += mix(state + (hash->answer > STORE_FOUND && i != SUBJECT_SELF), i);
    }
    return sum == 0 ? 1 : sum;
}

int self_facts_read(struct store *store, const char *account, int64_t now, struct self_facts *out,
                    struct why *why) {
    const char *wanted[ALL_SUBJECTS];
    size_t place[ALL_SUBJECTS], n = 0;
    struct store_hash hashes[ALL_SUBJECTS];
    *out = (struct self_facts){.set = {.now = now}};
    if (name_subjects(out, account) != 0)
        return why_set(why, "no memory");
    for (size_t i = 0; i < ALL_SUBJECTS; i++) {
        if (out->set.subjects[i] == NULL)
            continue;
        place[n] = i;
        wanted[n++] = out->set.subjects[i];
    }
    int rc = store_get(store, wanted, n, hashes, NO_DEADLINE, why);
    for (size_t i = 0; i < n; i++)
        out->hashes[place[i]] = hashes[i];
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (decode(out, place[i]) != 0)
            rc = why_set(why, "no memory");
    const struct store_hash *own = &out->hashes[SUBJECT_SELF];
    if (rc == 0)
        out->state = self_facts_state(out, own->n == 0 ? 0 : store_state(own->fields, own->n));
    return rc;
}

void self_facts_clear(struct self_facts *facts) {
    for (size_t i = 0; i < ALL_SUBJECTS; i++) {
        policy_free(facts->policies[i]);
        store_hash_clear(&facts->hashes[i]);
    }
    free(facts->names);
    *facts = (struct self_facts){0};
}

struct policy_set self_facts_host(const struct policy_set *set) {
    struct policy_set host = *set;
    host.policies[SUBJECT_SELF] = NULL;
    return host;
}

const struct store_field *self_facts_field(const struct store_hash *hash, const char *name,
                                           size_t *at) {
    size_t len = strlen(name);
    for (size_t i = 0; i < hash->n; i++) {
        const struct store_field *field = &hash->fields[(*at + i) % hash->n];
        if (field->name_len != len || memcmp(field->name, name, len) != 0)
            continue;
        *at = (size_t)(field - hash->fields) + 1;
        return field;
    }
    return NULL;
}
