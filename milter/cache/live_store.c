/*
 * A store and what is known of it, under one reference count. Owns their lifetime, and that each
 * of them hears what the store's watch says.
 */
#include "gatepost/cache/live_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network_loader.h"
#include "policy_cache.h"

struct store_settings live_store_settings(const struct config *config) {
    return (struct store_settings){.url = config->store,
                                   .user = config->store_user,
                                   .password_file = config->store_password_file,
                                   .key_prefix = config->key_prefix,
                                   .tls_ca = config->store_tls_ca,
                                   .tls_cert = config->store_tls_cert,
                                   .tls_key = config->store_tls_key,
                                   .timeout = config->store_timeout,
                                   .self_facts = config->self_facts};
}

/* Everything that makes a store another one; NULL when there is no memory. */
static char *identity_of(const struct config *config) {
    char *identity;
    int n = asprintf(&identity, "%s\n%s\n%s\n%s\n%s\n%s\n%s\n%" PRId64 " %zu %d", config->store,
                     config->store_user, config->store_password_file, config->key_prefix,
                     config->store_tls_ca, config->store_tls_cert, config->store_tls_key,
                     config->store_timeout, config->cache_entries, config->self_facts);
    return n < 0 ? NULL : identity;
}

/* store_told */
static void note(void *context, enum store_event event, const char *subject) {
    struct live_store *shared = context;
    policy_cache_note(shared->cache, event, subject);
    network_loader_note(shared->networks, event, subject);
}

void live_store_keep(struct live_store *shared, const struct config *config) {
    policy_cache_keep(shared->cache, config->cache_ttl, config->stale_max);
}

/* `store`: the one that is open already, or NULL. */
static int open_parts(struct live_store *shared, const struct config *config, struct store *store,
                      struct why *why) {
    const struct store_settings settings = live_store_settings(config);
    why_set(why, "no memory");
    shared->store = store;
    shared->identity = identity_of(config);
    shared->key_prefix = strdup(config->key_prefix);
    if (shared->identity == NULL || shared->key_prefix == NULL ||
        (store == NULL && store_open(&settings, &shared->store, why) != 0))
        return -1;
    const struct policy_cache_settings cache = {
        .store = shared->store,
        .key_prefix = shared->key_prefix,
        .entries = store_is_remote(shared->store) ? config->cache_entries : 0,
        .timeout = config->store_timeout,
        .self_facts = config->self_facts};
    shared->cache = policy_cache_new(&cache);
    shared->networks = network_loader_new(shared->store, shared->key_prefix);
    if (shared->cache == NULL || shared->networks == NULL)
        return why_set(why, "no memory");
    live_store_keep(shared, config);
    return store_watch(shared->store, note, shared, why);
}

int live_store_open_on(const struct config *config, struct store *store, struct live_store **out,
                       struct why *why) {
    struct live_store *shared = calloc(1, sizeof *shared);
    if (shared == NULL) {
        store_free(store);
        return why_set(why, "no memory");
    }
    atomic_init(&shared->references, 1);
    if (open_parts(shared, config, store, why) != 0) {
        live_store_release(shared);
        return -1;
    }
    *out = shared;
    return 0;
}

int live_store_open(const struct config *config, struct live_store *last, struct live_store **out,
                    struct why *why) {
    if (last != NULL) {
        char *identity = identity_of(config);
        bool same = identity != NULL && strcmp(identity, last->identity) == 0;
        free(identity);
        if (same) {
            *out = live_store_acquire(last);
            return 0;
        }
    }
    return live_store_open_on(config, NULL, out, why);
}

struct live_store *live_store_acquire(struct live_store *shared) {
    atomic_fetch_add(&shared->references, 1);
    return shared;
}

void live_store_release(struct live_store *shared) {
    if (shared == NULL || atomic_fetch_sub(&shared->references, 1) != 1)
        return;
    if (shared->store != NULL)
        store_unwatch(shared->store);
    network_loader_free(shared->networks);
    policy_cache_free(shared->cache);
    store_free(shared->store);
    free(shared->identity);
    free(shared->key_prefix);
    free(shared);
}

void live_store_state(struct live_store *shared, struct live_store_state *out) {
    out->watching = policy_cache_watching(shared->cache, &out->lost_for);
    out->entries = policy_cache_entries(shared->cache);
}
