/*
 * What a session works with: one configuration and the store and SPF evaluator that it describes.
 *
 * Shared by reference: each session holds the runtime that it began with, so that a newer one can
 * take its place at any time and the old one goes with its last session.
 */
#ifndef GATEPOST_RUNTIME_H
#define GATEPOST_RUNTIME_H

#include <stdatomic.h>

#include "gatepost/config.h"
#include "gatepost/networks.h"
#include "gatepost/policy_cache.h"
#include "gatepost/spf.h"
#include "gatepost/store.h"

struct runtime {
    struct config *config;
    struct store *store;
    struct policy_cache *cache;
    struct networks *networks;
    struct spf *spf;
    atomic_uint references;
};

/*
 * Opens store and evaluator for a configuration, which it then owns (also when it fails: it is
 * freed). Returns 0 and one reference, or -1 with the reason.
 */
int runtime_open(struct config *config, struct runtime **out, char *why, size_t why_size);

/* The same without the store and its networks, for tools that only evaluate SPF. */
int runtime_open_spf(struct config *config, struct runtime **out, char *why, size_t why_size);

/* The store that a configuration describes; texts are the configuration's. */
struct store_settings runtime_store_settings(const struct config *config);

struct runtime *runtime_acquire(struct runtime *runtime);
void runtime_release(struct runtime *runtime);

#endif
