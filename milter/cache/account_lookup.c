/*
 * The policy of one account. Owns the names of its subjects; what is known of them is
 * policy_cache.c's.
 */
#include "gatepost/cache/account_lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy_cache.h"

void account_lookup_clear(struct account_lookup *lookup) {
    for (size_t i = 0; i < ALL_SUBJECTS; i++)
        shared_policy_release(lookup->known[i]);
    free(lookup->memory);
    *lookup = (struct account_lookup){0};
}

#define ACCOUNT "account:"

/* Names the subjects in set.subjects; -1 when there is no memory. */
static int name_subjects(struct account_lookup *out, const struct address *account, bool self) {
    const char *parents[PARENTS_MAX], *domain = account->domain;
    size_t n = domain == NULL ? 0 : parents_of(domain, parents);
    size_t size = sizeof ACCOUNT + strlen(account->text);
    size += self ? sizeof SELF_SUBJECT + strlen(account->text) : 0;
    if (domain != NULL)
        size += (1 + n) * (sizeof ACCOUNT "@" + strlen(domain)); /* a parent is shorter */
    char *at = out->memory = malloc(size);
    if (at == NULL)
        return -1;
    /* a name without a domain must not be another subject's: "*", "@domain", "user@domain" */
    if (domain != NULL || (strcmp(account->text, "*") != 0 && strchr(account->text, '@') == NULL))
        out->set.subjects[SUBJECT_ACCOUNT] = at;
    at = stpcpy(stpcpy(at, ACCOUNT), account->text) + 1;
    if (domain != NULL) {
        out->set.subjects[SUBJECT_DOMAIN] = at;
        at = stpcpy(stpcpy(at, ACCOUNT "@"), domain) + 1;
    }
    for (size_t i = 0; i < n; i++) {
        out->set.subjects[SUBJECT_PARENT + i] = at;
        at = stpcpy(stpcpy(at, ACCOUNT "@"), parents[i]) + 1;
    }
    out->set.subjects[SUBJECT_DEFAULT] = ACCOUNT "*";
    if (self && out->set.subjects[SUBJECT_ACCOUNT] != NULL) {
        stpcpy(stpcpy(at, SELF_SUBJECT), account->text);
        if (strcmp(at, SELF_HISTORY) != 0)
            out->set.subjects[SUBJECT_SELF] = at;
    }
    return 0;
}

int account_lookup_find(struct policy_cache *cache, const struct address *account,
                        struct account_lookup *out, int64_t deadline, struct why *why) {
    const char *wanted[ALL_SUBJECTS];
    struct shared_policy *known[ALL_SUBJECTS];
    size_t n = 0;
    *out = (struct account_lookup){0};
    if (name_subjects(out, account, policy_cache_asks_self(cache)) != 0)
        return why_set(why, "no memory");
    for (size_t i = 0; i < ALL_SUBJECTS; i++)
        if (out->set.subjects[i] != NULL)
            wanted[n++] = out->set.subjects[i];
    if (policy_cache_get(cache, wanted, n, known, &out->stale, deadline, why) != 0) {
        account_lookup_clear(out);
        return -1;
    }
    for (size_t i = ALL_SUBJECTS; i-- > 0;) {
        if (out->set.subjects[i] == NULL)
            continue;
        out->known[i] = known[--n];
        out->set.policies[i] = out->known[i]->policy;
    }
    return 0;
}
