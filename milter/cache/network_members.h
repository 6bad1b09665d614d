/*
 * What the store has of one network, read whole. Never changes once it is loaded.
 */
#ifndef GATEPOST_CACHE_NETWORK_MEMBERS_H
#define GATEPOST_CACHE_NETWORK_MEMBERS_H

#include <stdbool.h>

#include "gatepost/core/netset.h"
#include "gatepost/core/why.h"
#include "gatepost/store/store.h"

struct network_members {
    struct netset *set;
    char *malformed; /* the first member that cannot be read; NULL for none */
    bool wrong_type; /* the key is no hash */
    bool absent;     /* the store has no such key */
};

/*
 * Reads the hash of `subject` from the store, however long that takes. What is malformed in it is
 * logged as a fault of `key`, and counted. Returns the members, owned by the caller, or NULL with
 * the reason when they cannot be had.
 */
struct network_members *network_members_load(struct store *store, const char *subject,
                                             const char *key, struct why *why);
void network_members_free(struct network_members *members);

#endif
