/*
 * Which user the filter runs as, and that it cannot become another one.
 */
#ifndef GATEPOST_FILTER_PRIVILEGES_H
#define GATEPOST_FILTER_PRIVILEGES_H

#include <sys/types.h>

#include "gatepost/config/config.h"
#include "gatepost/core/why.h"

struct privileges {
    bool change; /* to this user; otherwise the process stays who it is */
    uid_t uid;
    gid_t gid;
};

/*
 * Finds out whom to become, before anything is opened. Root without a user to become is an error,
 * unless the configuration says user = "root". Returns 0, or -1 with the reason.
 */
int privileges_find(const struct config *config, struct privileges *out, struct why *why);

/*
 * Becomes that user for good: with its groups, without capabilities, and so that no program it
 * might execute gains any (PR_SET_NO_NEW_PRIVS, prctl(2)). Before threads start. Returns 0, or -1
 * with the reason.
 */
int privileges_drop(const struct config *config, const struct privileges *privileges,
                    struct why *why);

#endif
