/*
 * The policy of one account. Owns the names of its three subjects; what is known of them is
 * policy_cache.c's.
 */
#include "gatepost/cache/account_lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy_cache.h"

void account_lookup_clear(struct account_lookup *lookup) {
    for (size_t i = 0; i < SUBJECTS; i++)
        shared_policy_release(lookup->known[i]);
    free(lookup->memory);
    *lookup = (struct account_lookup){0};
}

/* Names the subjects in set.subjects; -1 when there is no memory. */
static int name_subjects(struct account_lookup *out, const struct address *account) {
    size_t size = strlen("account:") + strlen(account->text) + 1;
    size_t domain_size =
        account->domain == NULL ? 0 : strlen("account:@") + strlen(account->domain) + 1;
    out->memory = malloc(size + domain_size);
    if (out->memory == NULL)
        return -1;
    strcpy(stpcpy(out->memory, "account:"), account->text);
    /* a name without a domain must not be another subject's: "*", "@domain", "user@domain" */
    if (domain_size > 0 || (strcmp(account->text, "*") != 0 && strchr(account->text, '@') == NULL))
        out->set.subjects[SUBJECT_ACCOUNT] = out->memory;
    if (domain_size > 0) {
        strcpy(stpcpy(out->memory + size, "account:@"), account->domain);
        out->set.subjects[SUBJECT_DOMAIN] = out->memory + size;
    }
    out->set.subjects[SUBJECT_DEFAULT] = "account:*";
    return 0;
}

int account_lookup_find(struct policy_cache *cache, const struct address *account,
                        struct account_lookup *out, int64_t deadline, struct why *why) {
    const char *wanted[SUBJECTS];
    struct shared_policy *known[SUBJECTS];
    size_t n = 0;
    *out = (struct account_lookup){0};
    if (name_subjects(out, account) != 0)
        return why_set(why, "no memory");
    for (size_t i = 0; i < SUBJECTS; i++)
        if (out->set.subjects[i] != NULL)
            wanted[n++] = out->set.subjects[i];
    if (policy_cache_get(cache, wanted, n, known, &out->stale, deadline, why) != 0) {
        account_lookup_clear(out);
        return -1;
    }
    for (size_t i = SUBJECTS; i-- > 0;) {
        if (out->set.subjects[i] == NULL)
            continue;
        out->known[i] = known[--n];
        out->set.policies[i] = out->known[i]->policy;
    }
    return 0;
}
