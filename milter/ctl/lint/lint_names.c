/*
 * What `lint` finds of entries that are no blocks: `ip:spf:` and `as:`. Owns when one has no
 * effect; how it is read is policy.c's.
 */
#include <stdio.h>
#include <string.h>

#include "gatepost/core/timestamp.h"
#include "lint.h"

/* Is it an entry of that list which counts as long as `entry` at least? NULL: there is none. */
static const struct name_entry *find_name(const struct name_entry *list, size_t n, const char *name,
                                          const struct name_entry *entry) {
    for (size_t i = 0; i < n; i++)
        if (&list[i] != entry && !list[i].malformed && strcmp(list[i].name, name) == 0 &&
            (list[i].until == 0 || (entry->until != 0 && list[i].until >= entry->until)))
            return &list[i];
    return NULL;
}

static bool lint_end(struct lint *lint, const char *subject, const struct name_entry *entry) {
    char ended[TIMESTAMP_SIZE];
    if (entry->malformed)
        return true;
    if (policy_name_counts(entry, lint->ctl->now))
        return false;
    lint_found(lint, "expired", subject, entry->field, "expired on %s",
               timestamp_format(entry->until, ended));
    return true;
}

/* Does the domain of an address, or one that it is below, stand in the list? As find_name(). */
static const struct name_entry *find_domain(const struct policy *policy, const char *domain,
                                            const struct name_entry *entry) {
    char name[300];
    const struct name_entry *found = NULL;
    if (domain == NULL || strlen(domain) > 253)
        return NULL;
    if (entry->name[0] != '@') {
        snprintf(name, sizeof name, "@%s", domain);
        found = find_name(policy->as, policy->n_as, name, entry);
    }
    for (const char *dot = strchr(domain, '.'); found == NULL && dot != NULL;
         dot = strchr(dot + 1, '.')) {
        snprintf(name, sizeof name, "@%s", dot);
        found = find_name(policy->as, policy->n_as, name, entry);
    }
    return found;
}

/* What makes an `as:` entry needless in a policy, its own or one that it inherits. */
static const struct name_entry *find_around(const struct policy *policy,
                                            const struct name_entry *entry) {
    const char *at = strrchr(entry->name, '@');
    const char *domain = at == NULL ? NULL : at + 1 + (at == entry->name && at[1] == '.');
    const struct name_entry *found = find_name(policy->as, policy->n_as, entry->name, entry);
    return found != NULL ? found : find_domain(policy, domain, entry);
}

static void lint_as(struct lint *lint, const char *subject, const struct policy *policy,
                    const struct lint_heritage *heritage) {
    for (size_t i = 0; i < policy->n_as; i++) {
        const struct name_entry *entry = &policy->as[i], *around = find_around(policy, entry);
        const char *whose = subject;
        if (lint_end(lint, subject, entry))
            continue;
        if (strcmp(subject + strlen("account:"), entry->name) == 0) {
            lint_found(lint, "unreachable", subject, entry->field,
                       "without effect: a login may always send as itself");
            continue;
        }
        for (size_t j = 0; around == NULL && j < heritage->n; j++) {
            around = find_around(heritage->from[j].policy, entry);
            whose = heritage->from[j].subject;
        }
        if (around != NULL)
            lint_found(lint, "unreachable", subject, entry->field,
                       "without effect: %.300s has %.300s", whose, around->field);
    }
}

/* Who else has this provider; NULL: nobody. */
static const char *find_heir_of(const struct lint_heritage *heritage,
                                const struct name_entry *entry) {
    for (size_t i = 0; i < heritage->n; i++) {
        const struct policy *other = heritage->from[i].policy;
        if (find_name(other->providers, other->n_providers, entry->name, entry) != NULL)
            return heritage->from[i].subject;
    }
    return NULL;
}

static void lint_providers(struct lint *lint, const char *subject, const struct policy *policy,
                           const struct lint_heritage *heritage) {
    struct policy_set set = {.subjects = {subject}, .policies = {policy}};
    struct policy_provider asked[PROVIDERS_MAX];
    for (size_t i = 0; i < heritage->n && i + 1 < SUBJECTS; i++) {
        set.subjects[i + 1] = heritage->from[i].subject;
        set.policies[i + 1] = heritage->from[i].policy;
    }
    size_t n = policy_providers(&set, lint->ctl->now, asked);
    for (size_t i = 0; i < policy->n_providers; i++) {
        const struct name_entry *entry = &policy->providers[i];
        size_t at = 0;
        if (lint_end(lint, subject, entry))
            continue;
        const char *whose = find_heir_of(heritage, entry);
        if (whose != NULL)
            lint_found(lint, "unreachable", subject, entry->field,
                       "without effect: %.300s has it too", whose);
        while (at < n && asked[at].from.field != entry->field)
            at++;
        if (at == n && n == PROVIDERS_MAX)
            lint_found(lint, "unreachable", subject, entry->field,
                       "without effect: no more than %d providers of one account are asked",
                       PROVIDERS_MAX);
    }
}

void lint_names(struct lint *lint, const char *subject, const struct policy *policy,
                const struct lint_heritage *heritage) {
    lint_as(lint, subject, policy, heritage);
    lint_providers(lint, subject, policy, heritage);
}
