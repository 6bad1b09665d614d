/*
 * The store with its watch and all that is known of it, policies and networks, shared by the
 * configurations that describe the same one, so that a reload loses nothing that is known.
 */
#ifndef GATEPOST_CACHE_LIVE_STORE_H
#define GATEPOST_CACHE_LIVE_STORE_H

#include <stdatomic.h>

#include "gatepost/cache/watching.h"
#include "gatepost/config/config.h"
#include "gatepost/core/why.h"
#include "gatepost/store/store.h"

struct policy_cache;
struct network_loader;

/* Read by everybody who has a reference; never changes. */
struct live_store {
    struct store *store;
    struct policy_cache *cache;
    struct network_loader *networks;
    char *identity, *key_prefix; /* owned; the settings that it was opened with, and one of them */
    atomic_uint references;
};

/* The store settings of a configuration; texts are the configuration's. */
struct store_settings live_store_settings(const struct config *config);

/*
 * The store that a configuration describes: `last` (NULL for none) if it is the same, else a fresh
 * one. Returns 0 and one reference, or -1 with the reason. Any thread. `last` keeps policies as
 * long as before, until live_store_keep().
 */
int live_store_open(const struct config *config, struct live_store *last, struct live_store **out,
                    struct why *why);

/*
 * The same on `store`, which is open already (NULL: it is not) and is then owned, also when this
 * fails: it is freed. For tools that judge by another policy than the store's.
 */
int live_store_open_on(const struct config *config, struct store *store, struct live_store **out,
                       struct why *why);

/* Policies are kept as long as this configuration says, by all who share the store. */
void live_store_keep(struct live_store *shared, const struct config *config);

/* The last release joins threads, and waits for their look-ups in progress. */
struct live_store *live_store_acquire(struct live_store *shared);
void live_store_release(struct live_store *shared);

/* How it stands: for an operator. Any thread. */
struct live_store_state {
    enum watching watching;
    int64_t lost_for; /* milliseconds since changes were heard of last; 0 while they are */
    size_t entries;   /* of the policy cache */
};
void live_store_state(struct live_store *shared, struct live_store_state *out);

#endif
