/*
 * Named networks. Owns the loading of their members from the store, off the hot path, and the
 * replacing of a network whole; the search itself is netset.c's.
 */
#include "gatepost/cache/networks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"
#include "gatepost/base/metrics.h"

/* Between two tries to load from a store that does not answer, in milliseconds. */
#define RETRY_INTERVAL 500

/* What the store says of a network; replaced whole, and shared over a reload. */
struct members {
    atomic_uint references;
    struct netset *set;
    char *malformed; /* the first member that cannot be read; NULL for none */
    bool wrong_type;
    bool absent; /* the store has no such key */
};

struct network {
    const char *name;
    char *subject;                      /* "network:NAME" */
    const struct config_network *fixed; /* the configuration's members; NULL for none */
    struct members *members;            /* under lock; NULL until loaded once */
    bool stale;                         /* under wake_lock: to be loaded again */
    bool failing;                       /* loader only: the last try failed */
};

struct networks {
    struct live_store *store;
    struct store_follower follower;
    struct network *items;
    size_t n;
    pthread_rwlock_t lock;
    pthread_mutex_t wake_lock;
    pthread_cond_t wake;
    bool stopping; /* under wake_lock */
    pthread_t loader;
    bool following, started;
};

static void members_release(struct members *members) {
    if (members == NULL || atomic_fetch_sub(&members->references, 1) != 1)
        return;
    netset_free(members->set);
    free(members->malformed);
    free(members);
}

/* Members under way from the store. */
struct loading {
    const char *key; /* for the log */
    struct netblock *blocks;
    size_t n, room, n_malformed;
    char *malformed;
};

static int take_member(void *context, const struct store_field *field) {
    struct loading *l = context;
    struct why why;
    if (l->n == l->room) {
        size_t room = l->room == 0 ? 64 : l->room * 2;
        struct netblock *grown = realloc(l->blocks, room * sizeof *grown);
        if (grown == NULL)
            return -1;
        l->blocks = grown;
        l->room = room;
    }
    if (netblock_parse(field->name, field->name_len, &l->blocks[l->n], &why) == 0) {
        l->n++;
        return 0;
    }
    if (l->n_malformed++ < 10) { /* a whole list of another kind need not fill the log */
        char *name = strndup(field->name, field->name_len);
        log_malformed(l->key, name, why.text);
        if (l->malformed == NULL)
            l->malformed = name;
        else
            free(name);
    } else {
        metrics_malformed();
    }
    return 0;
}

/* Reads a network from the store; NULL with the reason when it cannot be had. */
static struct members *load(const struct networks *networks, const struct network *network,
                            struct why *why) {
    char key[600];
    snprintf(key, sizeof key, "%s%s", networks->store->key_prefix, network->subject);
    struct loading l = {.key = key};
    int answer = store_walk(networks->store->store, network->subject, take_member, &l, why);
    struct members *members = answer < 0 ? NULL : calloc(1, sizeof *members);
    if (members != NULL) {
        atomic_init(&members->references, 1);
        members->set = netset_new(l.blocks, l.n);
        members->malformed = l.malformed;
        members->wrong_type = answer == STORE_WRONG_TYPE;
        members->absent = answer == STORE_ABSENT;
        l.malformed = NULL;
    }
    if (members != NULL && members->set == NULL) {
        members_release(members);
        members = NULL;
        why_set(why, "no memory");
    }
    if (answer == STORE_WRONG_TYPE)
        log_malformed(key, NULL, "wrong type: the key must be a hash");
    if (answer == STORE_ABSENT && network->fixed == NULL &&
        (network->members == NULL || !network->members->absent))
        log_event(LOG_WARNING, "network-empty", "key", key, "problem",
                  "neither the configuration nor the store has this network", (char *)NULL);
    free(l.malformed);
    free(l.blocks);
    return members;
}

/* Loads and replaces one network; false when the store did not answer. */
static bool reload(struct networks *networks, struct network *network) {
    struct why why = {"no memory"};
    struct members *fresh = load(networks, network, &why);
    if (fresh == NULL) {
        if (!network->failing)
            log_event(LOG_ERR, "network-not-loaded", "network", network->name, "problem", why.text,
                      (char *)NULL);
        network->failing = true;
        return false;
    }
    if (network->failing)
        log_event(LOG_INFO, "network-loaded", "network", network->name, (char *)NULL);
    network->failing = false;
    pthread_rwlock_wrlock(&networks->lock);
    struct members *old = network->members;
    network->members = fresh;
    pthread_rwlock_unlock(&networks->lock);
    members_release(old);
    return true;
}

/* Waits until a network is stale or `until` (0: without limit); NULL when to stop or in vain. */
static struct network *next_stale(struct networks *networks, bool *stopping, int64_t until) {
    struct timespec limit = clock_timespec(until);
    struct network *found = NULL;
    int rc = 0;
    pthread_mutex_lock(&networks->wake_lock);
    for (;;) {
        for (size_t i = 0; found == NULL && i < networks->n; i++)
            if (networks->items[i].stale)
                found = &networks->items[i];
        *stopping = networks->stopping;
        if (found != NULL || *stopping || rc != 0)
            break;
        rc = until == 0 ? pthread_cond_wait(&networks->wake, &networks->wake_lock)
                        : pthread_cond_timedwait(&networks->wake, &networks->wake_lock, &limit);
    }
    if (found != NULL)
        found->stale = false; /* a change from now on is another one */
    pthread_mutex_unlock(&networks->wake_lock);
    return *stopping ? NULL : found;
}

static void *run_loader(void *arg) {
    struct networks *networks = arg;
    bool stopping = false;
    int64_t retry = 0;
    while (!stopping) {
        struct network *network = next_stale(networks, &stopping, retry);
        if (network != NULL)
            reload(networks, network);
        bool failing = false;
        if (network == NULL && !stopping) /* time to try again what failed */
            for (size_t i = 0; i < networks->n; i++)
                if (networks->items[i].failing)
                    reload(networks, &networks->items[i]);
        for (size_t i = 0; i < networks->n; i++)
            failing |= networks->items[i].failing;
        retry = failing ? clock_now_ms() + RETRY_INTERVAL : 0;
    }
    return NULL;
}

/* store_told: on the store's thread, so only noted */
static void told(void *context, enum store_event event, const char *subject) {
    struct networks *networks = context;
    bool any = false;
    if (event == STORE_LOST)
        return; /* what is known serves on */
    pthread_mutex_lock(&networks->wake_lock);
    for (size_t i = 0; i < networks->n; i++) {
        if (subject == NULL || strcmp(subject, networks->items[i].subject) == 0) {
            networks->items[i].stale = true;
            any = true;
        }
    }
    if (any)
        pthread_cond_signal(&networks->wake);
    pthread_mutex_unlock(&networks->wake_lock);
}

static struct network *find(const struct networks *networks, const char *name) {
    for (size_t i = 0; i < networks->n; i++)
        if (strcmp(networks->items[i].name, name) == 0)
            return &networks->items[i];
    return NULL;
}

static int add_names(struct networks *networks, const struct config *config,
                     const struct config_list *names) {
    for (size_t i = 0; i < names->n; i++) {
        if (find(networks, names->items[i]) != NULL)
            continue;
        struct network *grown =
            realloc(networks->items, (networks->n + 1) * sizeof *networks->items);
        if (grown == NULL)
            return -1;
        networks->items = grown;
        struct network *network = &networks->items[networks->n];
        *network = (struct network){.name = names->items[i],
                                    .fixed = config_network(config, names->items[i])};
        if (asprintf(&network->subject, "network:%s", network->name) < 0)
            return -1;
        networks->n++;
    }
    return 0;
}

/* What the one before has loaded, to be loaded again in time. */
static void take_over(struct networks *networks, struct networks *last) {
    for (size_t i = 0; i < networks->n; i++) {
        const struct network *old = find(last, networks->items[i].name);
        if (old == NULL)
            continue;
        pthread_rwlock_rdlock(&last->lock);
        struct members *members = old->members;
        if (members != NULL)
            atomic_fetch_add(&members->references, 1);
        pthread_rwlock_unlock(&last->lock);
        networks->items[i].members = members;
    }
}

static int start(struct networks *networks, struct networks *last, struct why *why) {
    if (networks->n == 0)
        return 0;
    live_store_follow(networks->store, &networks->follower);
    networks->following = true;
    if (last != NULL && last->store == networks->store)
        take_over(networks, last);
    for (size_t i = 0; i < networks->n; i++) {
        struct network *network = &networks->items[i];
        if (network->members == NULL)
            reload(networks, network);
        else
            told(networks, STORE_CHANGED, network->subject);
    }
    if (pthread_create(&networks->loader, NULL, run_loader, networks) != 0)
        return why_set(why, "the thread that loads networks cannot be started");
    networks->started = true;
    return 0;
}

int networks_open(const struct config *config, struct live_store *store, struct networks *last,
                  struct networks **out, struct why *why) {
    struct networks *networks = calloc(1, sizeof *networks);
    if (networks == NULL)
        return why_set(why, "no memory");
    networks->store = store;
    networks->follower = (struct store_follower){.told = told, .context = networks};
    pthread_rwlock_init(&networks->lock, NULL);
    pthread_mutex_init(&networks->wake_lock, NULL);
    clock_cond_init(&networks->wake);
    int rc = add_names(networks, config, &config->trusted);
    for (size_t i = 0; rc == 0 && i < config->n_listeners; i++)
        rc = add_names(networks, config, &config->listeners[i].connect_from);
    if (rc != 0)
        why_set(why, "no memory");
    else
        rc = start(networks, last, why);
    if (rc != 0)
        networks_free(networks);
    else
        *out = networks;
    return rc;
}

void networks_free(struct networks *networks) {
    if (networks == NULL)
        return;
    if (networks->following)
        live_store_unfollow(networks->store, &networks->follower);
    if (networks->started) {
        pthread_mutex_lock(&networks->wake_lock);
        networks->stopping = true;
        pthread_cond_signal(&networks->wake);
        pthread_mutex_unlock(&networks->wake_lock);
        pthread_join(networks->loader, NULL);
    }
    for (size_t i = 0; i < networks->n; i++) {
        members_release(networks->items[i].members);
        free(networks->items[i].subject);
    }
    pthread_rwlock_destroy(&networks->lock);
    pthread_mutex_destroy(&networks->wake_lock);
    pthread_cond_destroy(&networks->wake);
    free(networks->items);
    free(networks);
}

struct network_answer networks_contain(struct networks *networks, const struct config_list *names,
                                       const struct ip_address *client, char *member,
                                       size_t member_size) {
    struct network_answer answer = {.membership = MEMBER_NO};
    for (size_t i = 0; i < names->n; i++) {
        const struct network *network = find(networks, names->items[i]);
        bool inside = network->fixed != NULL && netset_contains(network->fixed->members, client);
        pthread_rwlock_rdlock(&networks->lock);
        const struct members *members = network->members;
        if (members != NULL && netset_contains(members->set, client)) {
            inside = true;
        } else if (members == NULL) {
            answer.membership = MEMBER_UNKNOWN;
        } else if ((members->malformed != NULL || members->wrong_type) &&
                   answer.membership == MEMBER_NO) {
            answer.membership = MEMBER_MALFORMED;
            snprintf(member, member_size, "%s",
                     members->wrong_type ? "(wrong type)" : members->malformed);
            answer.from = (struct policy_origin){network->subject, member};
        }
        pthread_rwlock_unlock(&networks->lock);
        if (inside)
            return (struct network_answer){.membership = MEMBER_YES};
    }
    return answer;
}
