/*
 * A question about the use of all accounts, for the commands that ask one.
 */
#ifndef GATEPOST_CTL_USE_SEARCH_H
#define GATEPOST_CTL_USE_SEARCH_H

#include "../policies.h"
#include "gatepost/base/json_text.h"
#include "use.h"

struct use_search {
    struct ctl *ctl;
    /* Is called for each account that has policy or a record, in the order of their names. */
    void (*visit)(struct use_search *s, const char *account, const struct ctl_policies *policies,
                  const struct ctl_use *use);
    json_t *found; /* the caller's */
    /* the rest is set by use_search() */
    struct use_store *store;
    struct ctl_use everybody;
    const char **protocols;
    size_t n_protocols;
    int64_t period; /* seconds */
};

/*
 * Visits the accounts that match the pattern, unless recording is younger than --for, or
 * `otherwise` without it; then it says so. CTL_DONE, or another status after saying why.
 */
int use_search(struct use_search *s, const char *pattern, const char *otherwise);

/* Had anybody come in by the service at that time, so that its door told of it? */
bool use_is_recorded(const struct use_search *s, const char *service, int64_t from);

/*
 * The protocols that are on and that the account has not been used by since `from`: a new array of
 * {"account", "protocol", "last": TIME or null, "not_recorded": [SERVICE...]}, those of its
 * services that are recorded since a later time only, or never.
 */
json_t *use_unused(const struct use_search *s, const char *account, const struct policy_set *set,
                   const struct ctl_use *use, int64_t from);

/* Prints a word for the shell, quoted where it has to be. */
void use_put_word(const char *word);

#endif
