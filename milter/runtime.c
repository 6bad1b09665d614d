/*
 * A configuration and what is opened for it, under one reference count. Owns their lifetime.
 */
#include "gatepost/runtime.h"

#include <stdio.h>
#include <stdlib.h>

#include "gatepost/config_check.h"

/* Name servers as dns.h takes them. */
struct nameservers {
    char (*texts)[80];
    const char **items;
};

static int format_nameservers(const struct config *config, struct nameservers *out) {
    size_t n = config->nameservers.n;
    out->texts = calloc(n + 1, sizeof *out->texts);
    out->items = calloc(n + 1, sizeof *out->items);
    if (out->texts == NULL || out->items == NULL)
        return -1;
    for (size_t i = 0; i < n; i++) {
        nameserver_format(config->nameservers.items[i], out->texts[i], sizeof out->texts[i]);
        out->items[i] = out->texts[i];
    }
    return 0;
}

static int open_spf(struct runtime *runtime, char *why, size_t why_size) {
    const struct config *config = runtime->config;
    struct nameservers servers = {0};
    int rc = format_nameservers(config, &servers);
    struct spf_settings settings = {.nameservers = servers.items,
                                    .n_nameservers = config->nameservers.n,
                                    .timeout = config->spf_timeout};
    if (rc != 0)
        snprintf(why, why_size, "no memory");
    else
        rc = spf_open(&settings, &runtime->spf, why, why_size);
    free(servers.texts);
    free(servers.items);
    return rc;
}

struct store_settings runtime_store_settings(const struct config *config) {
    return (struct store_settings){.url = config->store,
                                   .user = config->store_user,
                                   .password_file = config->store_password_file,
                                   .key_prefix = config->key_prefix,
                                   .timeout = config->store_timeout};
}

static void told(void *context, enum store_event event, const char *subject) {
    struct runtime *runtime = context;
    policy_cache_told(runtime->cache, event, subject);
    networks_told(runtime->networks, event, subject);
}

static int open_store(struct runtime *runtime, char *why, size_t why_size) {
    const struct config *config = runtime->config;
    const struct store_settings settings = runtime_store_settings(config);
    if (store_open(&settings, &runtime->store, why, why_size) != 0 ||
        networks_open(config, runtime->store, config->key_prefix, &runtime->networks, why,
                      why_size) != 0)
        return -1;
    const struct policy_cache_settings cache = {
        .store = runtime->store,
        .key_prefix = config->key_prefix,
        .entries = runtime->store->remote ? config->cache_entries : 0,
        .ttl = config->cache_ttl,
        .stale_max = config->stale_max,
        .timeout = config->store_timeout};
    runtime->cache = policy_cache_new(&cache);
    if (runtime->cache == NULL) {
        snprintf(why, why_size, "no memory");
        return -1;
    }
    return store_watch(runtime->store, told, runtime, why, why_size);
}

static int open_parts(struct config *config, bool with_store, struct runtime **out, char *why,
                      size_t why_size) {
    struct runtime *runtime = calloc(1, sizeof *runtime);
    if (runtime == NULL) {
        config_free(config);
        snprintf(why, why_size, "no memory");
        return -1;
    }
    runtime->config = config;
    atomic_init(&runtime->references, 1);
    if ((with_store && open_store(runtime, why, why_size) != 0) ||
        open_spf(runtime, why, why_size) != 0) {
        runtime_release(runtime);
        return -1;
    }
    *out = runtime;
    return 0;
}

int runtime_open(struct config *config, struct runtime **out, char *why, size_t why_size) {
    return open_parts(config, true, out, why, why_size);
}

int runtime_open_spf(struct config *config, struct runtime **out, char *why, size_t why_size) {
    return open_parts(config, false, out, why, why_size);
}

struct runtime *runtime_acquire(struct runtime *runtime) {
    atomic_fetch_add(&runtime->references, 1);
    return runtime;
}

void runtime_release(struct runtime *runtime) {
    if (runtime == NULL || atomic_fetch_sub(&runtime->references, 1) != 1)
        return;
    if (runtime->store != NULL)
        store_unwatch(runtime->store);
    networks_free(runtime->networks);
    policy_cache_free(runtime->cache);
    store_free(runtime->store);
    spf_free(runtime->spf);
    config_free(runtime->config);
    free(runtime);
}
