/*
 * A configuration and what is opened for it, under one reference count. Owns their lifetime, and
 * that sessions need not wait for its end.
 */
#include "gatepost/session/runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/config/config_check.h"
#include "gatepost/core/store_url.h"

/* Runtimes without a reference, where somebody is there to free them. */
static struct {
    pthread_mutex_t lock;
    struct runtime *first; /* under lock */
    void (*wake)(void);    /* NULL: nobody is; each is freed at once */
} retired = {.lock = PTHREAD_MUTEX_INITIALIZER};

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

int runtime_open_evaluator(const struct config *config, struct spf **out, struct why *why) {
    struct nameservers servers = {0};
    int rc = format_nameservers(config, &servers);
    struct spf_settings settings = {.nameservers = servers.items,
                                    .n_nameservers = config->nameservers.n,
                                    .timeout = config->spf_timeout};
    if (rc != 0)
        why_set(why, "no memory");
    else
        rc = spf_open(&settings, out, why);
    free(servers.texts);
    free(servers.items);
    return rc;
}

static bool same_list(const struct config_list *a, const struct config_list *b) {
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = strcmp(a->items[i], b->items[i]) == 0;
    return same;
}

static bool same_spf(const struct config *a, const struct config *b) {
    /* without a list it is resolv.conf, which may be another now */
    return a->nameservers.n > 0 && a->spf_timeout == b->spf_timeout &&
           same_list(&a->nameservers, &b->nameservers);
}

/* They stand beside the policy, in keys that its rights and notifications do not reach. */
static int open_passwords(struct runtime *runtime, struct why *why) {
    struct store_settings settings = live_store_settings(runtime->config);
    char *prefix;
    if (runtime->config->passwords_listen[0] == '\0' || store_url_file(settings.url) != NULL)
        return 0;
    prefix = key_prefix_beside(settings.key_prefix, "password");
    if (prefix == NULL)
        return why_set(why, "no memory");
    settings.key_prefix = prefix;
    int rc = store_open(&settings, &runtime->passwords, why);
    free(prefix);
    return rc;
}

static int open_store(struct runtime *runtime, struct runtime *last, struct why *why) {
    if (live_store_open(runtime->config, last == NULL ? NULL : last->store, &runtime->store, why) !=
        0)
        return -1;
    if (networks_open(runtime->config, runtime->store, &runtime->networks, why) != 0)
        return -1;
    return open_passwords(runtime, why);
}

static void free_runtime(struct runtime *runtime) {
    networks_free(runtime->networks);
    store_free(runtime->passwords);
    live_store_release(runtime->store);
    spf_release(runtime->spf);
    config_free(runtime->config);
    free(runtime);
}

static int open_parts(struct config *config, struct runtime *last, bool with_store,
                      struct runtime **out, struct why *why) {
    struct runtime *runtime = calloc(1, sizeof *runtime);
    if (runtime == NULL) {
        config_free(config);
        return why_set(why, "no memory");
    }
    runtime->config = config;
    atomic_init(&runtime->references, 1);
    runtime->since = time(NULL);
    runtime->generation = last == NULL ? 1 : last->generation + 1;
    if (last != NULL && same_spf(config, last->config))
        runtime->spf = spf_acquire(last->spf);
    if ((with_store && open_store(runtime, last, why) != 0) ||
        (runtime->spf == NULL && runtime_open_evaluator(config, &runtime->spf, why) != 0)) {
        free_runtime(runtime);
        return -1;
    }
    *out = runtime;
    return 0;
}

int runtime_open(struct config *config, struct runtime *last, struct runtime **out,
                 struct why *why) {
    return open_parts(config, last, true, out, why);
}

int runtime_open_spf(struct config *config, struct runtime **out, struct why *why) {
    return open_parts(config, NULL, false, out, why);
}

struct runtime *runtime_acquire(struct runtime *runtime) {
    atomic_fetch_add(&runtime->references, 1);
    return runtime;
}

void runtime_release(struct runtime *runtime) {
    if (runtime == NULL || atomic_fetch_sub(&runtime->references, 1) != 1)
        return;
    if (retired.wake == NULL) {
        free_runtime(runtime);
        return;
    }
    pthread_mutex_lock(&retired.lock);
    runtime->next = retired.first;
    retired.first = runtime;
    pthread_mutex_unlock(&retired.lock);
    retired.wake();
}

void runtime_retire(void (*wake)(void)) {
    retired.wake = wake;
}

void runtime_free_retired(void) {
    pthread_mutex_lock(&retired.lock);
    struct runtime *first = retired.first;
    retired.first = NULL;
    pthread_mutex_unlock(&retired.lock);
    while (first != NULL) {
        struct runtime *next = first->next;
        free_runtime(first);
        first = next;
    }
}
