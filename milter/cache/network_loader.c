/*
 * The loading of networks. Owns its thread, who wants which network, and when each is loaded again;
 * what is read is network_members.c's, the configurations' own members are networks.c's.
 */
#include "network_loader.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"
#include "network_members.h"

/* Between two tries to load from a store that does not answer, in milliseconds. */
#define RETRY_INTERVAL 500

#define NEVER INT64_MAX

struct loaded_network {
    char *subject; /* "network:NAME" */
    pthread_rwlock_t lock;
    struct network_members
        *members; /* under lock; written by the thread that loads; NULL at first */
    /* the loader's, under its lock */
    unsigned wanted, bare; /* configurations that name it; of them, without members of their own */
    bool loading;          /* a thread does */
    bool loaded, failing;  /* ever; the last try */
    int64_t due;           /* when it is to be loaded again: clock_now_ms(), or NEVER */
    struct loaded_network *next;
};

struct network_loader {
    struct store *store;
    const char *key_prefix;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct loaded_network *networks; /* under lock, as is all below */
    bool stopping, started;
    pthread_t thread;
};

static void free_network(struct loaded_network *network) {
    network_members_free(network->members);
    pthread_rwlock_destroy(&network->lock);
    free(network->subject);
    free(network);
}

static struct loaded_network *new_network(const char *name) {
    struct loaded_network *network = calloc(1, sizeof *network);
    if (network == NULL || asprintf(&network->subject, "network:%s", name) < 0) {
        free(network);
        return NULL;
    }
    pthread_rwlock_init(&network->lock, NULL);
    network->due = NEVER;
    return network;
}

static struct loaded_network *find_network_locked(const struct network_loader *loader,
                                                  const char *name) {
    struct loaded_network *network = loader->networks;
    while (network != NULL && strcmp(network->subject + strlen("network:"), name) != 0)
        network = network->next;
    return network;
}

/* Takes it out of the list when nobody wants it, for the caller to free; NULL when it stays. */
static struct loaded_network *unlink_unwanted_locked(struct network_loader *loader,
                                                     struct loaded_network *network) {
    struct loaded_network **at = &loader->networks;
    if (network->wanted > 0 || network->loading)
        return NULL;
    while (*at != network)
        at = &(*at)->next;
    *at = network->next;
    return network;
}

static void begin_loading_locked(struct loaded_network *network) {
    network->loading = true;
    network->due = NEVER; /* a change from now on is another one */
}

static void report_loading(const struct loaded_network *network, const char *key,
                           const struct network_members *fresh, bool bare, const char *problem) {
    const char *name = network->subject + strlen("network:");
    if (fresh == NULL && !network->failing)
        log_event(LOG_ERR, "network-not-loaded", "network", name, "problem", problem, (char *)NULL);
    if (fresh == NULL)
        return;
    if (fresh->absent && bare && (network->members == NULL || !network->members->absent))
        log_event(LOG_WARNING, "network-empty", "key", key, "problem",
                  "this network is neither in the configuration nor in the store", (char *)NULL);
    if (network->failing)
        log_event(LOG_INFO, "network-loaded", "network", name, (char *)NULL);
}

/* Loads a network and replaces its members; begin_loading_locked() has made it the caller's. */
static void load(struct network_loader *loader, struct loaded_network *network) {
    char key[600];
    struct why why = {"no memory"};
    snprintf(key, sizeof key, "%s%s", loader->key_prefix, network->subject);
    struct network_members *fresh =
        network_members_load(loader->store, network->subject, key, &why);
    pthread_mutex_lock(&loader->lock);
    bool bare = network->bare > 0;
    pthread_mutex_unlock(&loader->lock);
    report_loading(network, key, fresh, bare, why.text);
    if (fresh != NULL) {
        pthread_rwlock_wrlock(&network->lock);
        struct network_members *last = network->members;
        network->members = fresh;
        pthread_rwlock_unlock(&network->lock);
        network_members_free(last);
    }
    int64_t retry = clock_now_ms() + RETRY_INTERVAL;
    pthread_mutex_lock(&loader->lock);
    network->loading = false;
    network->failing = fresh == NULL;
    network->loaded |= fresh != NULL;
    if (network->failing && network->due > retry)
        network->due = retry;
    struct loaded_network *unwanted = unlink_unwanted_locked(loader, network);
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
    if (unwanted != NULL)
        free_network(unwanted);
}

/* The network that is due next; NULL when none will be. */
static struct loaded_network *next_due_locked(const struct network_loader *loader) {
    struct loaded_network *first = NULL;
    for (struct loaded_network *network = loader->networks; network != NULL;
         network = network->next)
        if (!network->loading && network->due != NEVER &&
            (first == NULL || network->due < first->due))
            first = network;
    return first;
}

/* Waits for a network to be due, and begins to load it; NULL when to stop. */
static struct loaded_network *take_due(struct network_loader *loader) {
    struct loaded_network *network = NULL;
    pthread_mutex_lock(&loader->lock);
    while (!loader->stopping) {
        network = next_due_locked(loader);
        if (network != NULL && network->due <= clock_now_ms()) {
            begin_loading_locked(network);
            break;
        }
        if (network == NULL) {
            pthread_cond_wait(&loader->changed, &loader->lock);
        } else {
            struct timespec until = clock_timespec(network->due);
            pthread_cond_timedwait(&loader->changed, &loader->lock, &until);
        }
        network = NULL;
    }
    pthread_mutex_unlock(&loader->lock);
    return network;
}

static void *run_loader(void *arg) {
    struct network_loader *loader = arg;
    struct loaded_network *network;
    while ((network = take_due(loader)) != NULL)
        load(loader, network);
    return NULL;
}

struct network_loader *network_loader_new(struct store *store, const char *key_prefix) {
    struct network_loader *loader = calloc(1, sizeof *loader);
    if (loader == NULL)
        return NULL;
    loader->store = store;
    loader->key_prefix = key_prefix;
    pthread_mutex_init(&loader->lock, NULL);
    clock_cond_init(&loader->changed);
    return loader;
}

void network_loader_free(struct network_loader *loader) {
    if (loader == NULL)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->stopping = true;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
    if (loader->started)
        pthread_join(loader->thread, NULL);
    pthread_mutex_destroy(&loader->lock);
    pthread_cond_destroy(&loader->changed);
    free(loader);
}

/* On the store's thread, so the change is only noted. */
void network_loader_note(struct network_loader *loader, enum store_event event,
                         const char *subject) {
    bool any = false;
    if (event == STORE_LOST)
        return; /* what is known serves on */
    pthread_mutex_lock(&loader->lock);
    for (struct loaded_network *n = loader->networks; n != NULL; n = n->next) {
        if (subject == NULL || strcmp(subject, n->subject) == 0) {
            n->due = 0;
            any = true;
        }
    }
    if (any)
        pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
}

/* Without networks there is no thread. */
static int start_thread_locked(struct network_loader *loader) {
    if (!loader->started)
        loader->started = pthread_create(&loader->thread, NULL, run_loader, loader) == 0;
    return loader->started ? 0 : -1;
}

static struct loaded_network *add_wanted_locked(struct network_loader *loader, const char *name,
                                                bool bare) {
    struct loaded_network *network = find_network_locked(loader, name);
    if (network == NULL) {
        network = new_network(name);
        if (network == NULL)
            return NULL;
        network->next = loader->networks;
        loader->networks = network;
    }
    network->wanted++;
    network->bare += bare;
    return network;
}

int network_loader_want(struct network_loader *loader, const char *name, bool bare,
                        struct loaded_network **out, struct why *why) {
    pthread_mutex_lock(&loader->lock);
    if (start_thread_locked(loader) != 0) {
        pthread_mutex_unlock(&loader->lock);
        return why_set(why, "cannot start the thread that loads networks");
    }
    struct loaded_network *network = add_wanted_locked(loader, name, bare);
    bool wants_loading = network != NULL && !network->loaded && !network->loading;
    if (wants_loading)
        begin_loading_locked(network);
    while (network != NULL && !wants_loading && network->loading && !network->loaded)
        pthread_cond_wait(&loader->changed, &loader->lock); /* another thread is at it */
    pthread_mutex_unlock(&loader->lock);
    if (network == NULL)
        return why_set(why, "no memory");
    if (wants_loading)
        load(loader, network);
    *out = network;
    return 0;
}

void network_loader_give_back(struct network_loader *loader, struct loaded_network *network,
                              bool bare) {
    pthread_mutex_lock(&loader->lock);
    network->wanted--;
    network->bare -= bare;
    struct loaded_network *unwanted = unlink_unwanted_locked(loader, network);
    pthread_mutex_unlock(&loader->lock);
    if (unwanted != NULL)
        free_network(unwanted);
}

enum membership loaded_network_contains(struct loaded_network *network,
                                        const struct ip_address *client, char *member,
                                        size_t member_size) {
    enum membership membership = MEMBER_NO;
    pthread_rwlock_rdlock(&network->lock);
    const struct network_members *members = network->members;
    if (members == NULL) {
        membership = MEMBER_UNKNOWN;
    } else if (netset_contains(members->set, client)) {
        membership = MEMBER_YES;
    } else if (members->wrong_type || members->malformed != NULL) {
        membership = MEMBER_MALFORMED;
        snprintf(member, member_size, "%s",
                 members->wrong_type ? "(wrong type)" : members->malformed);
    }
    pthread_rwlock_unlock(&network->lock);
    return membership;
}

const char *loaded_network_subject(const struct loaded_network *network) {
    return network->subject;
}
