/*
 * The store with its cache and its watch, shared by the configurations that describe the same one,
 * so that a reload loses nothing that is known.
 */
#ifndef GATEPOST_SHARED_STORE_H
#define GATEPOST_SHARED_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "gatepost/config.h"
#include "gatepost/policy_cache.h"
#include "gatepost/store.h"

/* Who else wants to hear what the watch tells; a list's link, owned by who follows. */
struct store_follower {
    store_told *told;
    void *context;
    struct store_follower *next;
};

struct shared_store {
    struct store *store;
    struct policy_cache *cache;
    char *identity, *key_prefix; /* owned; the settings that it was opened with, and one of them */
    pthread_mutex_t lock;
    struct store_follower *followers; /* under lock */
    atomic_uint references;
};

/* The store settings of a configuration; texts are the configuration's. */
struct store_settings shared_store_settings(const struct config *config);

/*
 * The store that a configuration describes: `last` (NULL for none) if it is the same, else a fresh
 * one. Returns 0 and one reference, or -1 with the reason. Any thread. `last` keeps policies as
 * long as before, until shared_store_keep().
 */
int shared_store_open(const struct config *config, struct shared_store *last,
                      struct shared_store **out, char *why, size_t why_size);

/* Policies are kept as long as this configuration says, by all who share the store. */
void shared_store_keep(struct shared_store *shared, const struct config *config);

struct shared_store *shared_store_acquire(struct shared_store *shared);
void shared_store_release(struct shared_store *shared);

/*
 * From now on `follower` is told; until unfollowed, which returns when it is told no more. What it
 * does must not take long.
 */
void shared_store_follow(struct shared_store *shared, struct store_follower *follower);
void shared_store_unfollow(struct shared_store *shared, struct store_follower *follower);

#endif
