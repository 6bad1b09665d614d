/*
 * The store in a Redis Cluster. Owns the look-up of subjects at the nodes that have them, all at
 * the same time, and the following of redirections; which node has which slot is map.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../implement.h"
#include "../redis/hgetall.h"
#include "../redis/hscan.h"
#include "gatepost/base/clock.h"
#include "gatepost/core/store_key.h"
#include "gatepost/store/cluster/map.h"
#include "gatepost/store/cluster/slot.h"
#include "gatepost/store/store.h"

/* Redirections that one look-up follows: a slot that moves while it is asked for needs two. */
#define REDIRECTS_MAX 5

struct store_cluster {
    struct store store;
    char *prefix;
    int64_t timeout;
    bool sizes_first;
    struct store_doubt doubt;
    struct redis_map *map;
};

static void cluster_free(struct store *store) {
    struct store_cluster *cluster = (struct store_cluster *)store;
    redis_map_free(cluster->map);
    free(cluster->prefix);
    free(cluster);
}

/* The slot of a subject's key; of one that is too long for any address, that of its beginning. */
static unsigned slot_of(const struct store_cluster *cluster, const char *subject) {
    char key[2048];
    int len = store_key_put(key, sizeof key, cluster->prefix, subject);
    return redis_slot(key, (size_t)len < sizeof key ? (size_t)len : sizeof key - 1);
}

/* A look-up at several nodes. */
struct asking {
    struct redis_node **nodes; /* of each subject that is still to be asked for, else NULL; owns
                                  the memory of all */
    struct redis_redirect *redirects; /* of each subject */
    bool *with_asking;                /* of each subject */
    struct redis_hgetall *lookups;    /* one a node */
    size_t *which;                    /* the places for them, one after the other */
    struct redis_node **lookup_nodes; /* of each lookup */
    struct why *reasons;              /* of each lookup */
    size_t n_lookups;
};

static void asking_free(struct asking *a) {
    free(a->nodes);
}

/* One piece of memory for all of it, those that need more alignment first. */
static int asking_new(struct asking *a, size_t n) {
    char *memory = calloc(n, sizeof *a->nodes + sizeof *a->lookup_nodes + sizeof *a->which +
                                 sizeof *a->lookups + sizeof *a->redirects + sizeof *a->reasons +
                                 sizeof *a->with_asking);
    if (memory == NULL)
        return -1;
    *a = (struct asking){.nodes = (void *)memory};
    a->lookup_nodes = (void *)(a->nodes + n);
    a->which = (void *)(a->lookup_nodes + n);
    a->lookups = (void *)(a->which + n);
    a->redirects = (void *)(a->lookups + n);
    a->reasons = (void *)(a->redirects + n);
    a->with_asking = (void *)(a->reasons + n);
    return 0;
}

/* Sorts the subjects that have a node by node, and whether ASKING goes before, into lookups. */
static void group(struct asking *a, const struct redis_hgetall *pattern, size_t n) {
    size_t used = 0;
    a->n_lookups = 0;
    for (size_t i = 0; i < n; i++) {
        bool first = a->nodes[i] != NULL;
        for (size_t j = 0; first && j < i; j++)
            first = a->nodes[j] != a->nodes[i] || a->with_asking[j] != a->with_asking[i];
        if (!first)
            continue;
        struct redis_hgetall *lookup = &a->lookups[a->n_lookups];
        *lookup = *pattern;
        lookup->pool = a->nodes[i]->pool;
        lookup->redirects = a->redirects;
        lookup->asking = a->with_asking[i];
        lookup->which = &a->which[used];
        for (size_t j = i; j < n; j++)
            if (a->nodes[j] == a->nodes[i] && a->with_asking[j] == a->with_asking[i])
                a->which[used + lookup->n++] = j;
        used += lookup->n;
        a->lookup_nodes[a->n_lookups++] = a->nodes[i];
    }
}

/* Asks all nodes at the same time. The first reason of all that failed is left in `why`. */
static int ask_nodes(struct store_cluster *cluster, struct asking *a, struct why *why) {
    int rc = 0;
    for (size_t i = 0; i < a->n_lookups; i++)
        redis_hgetall_send(&a->lookups[i], &a->reasons[i]);
    for (size_t i = 0; i < a->n_lookups; i++) {
        if (redis_hgetall_read(&a->lookups[i], &a->reasons[i]) == 0)
            continue;
        if (rc == 0) {
            char name[REDIS_NAME_SIZE];
            struct redis_server node = redis_pool_server(a->lookup_nodes[i]->pool);
            why_set(why, "node %s: %s", redis_server_name(&node, name), a->reasons[i].text);
        }
        rc = -1;
        redis_map_doubt(cluster->map);
    }
    return rc;
}

/* Where to ask next for what was redirected; true when there is something. */
static bool follow(struct store_cluster *cluster, struct asking *a, size_t n) {
    bool more = false;
    for (size_t i = 0; i < n; i++) {
        struct redis_redirect *to = &a->redirects[i];
        struct redis_node *from = a->nodes[i];
        if (from == NULL)
            continue;
        a->nodes[i] = NULL;
        if (to->kind != REDIRECT_NONE) {
            a->nodes[i] = redis_map_redirected(
                cluster->map, to->host[0] != '\0' ? to->host : from->host, to->port);
            a->with_asking[i] = to->kind == REDIRECT_ASK;
            to->kind = REDIRECT_NONE;
            more = more || a->nodes[i] != NULL;
        }
        redis_map_release(cluster->map, from);
    }
    return more;
}

/* Those that are unanswered, as the pattern says. Returns as store_get(). */
static int ask_for(struct store_cluster *cluster, const struct redis_hgetall *pattern, size_t n,
                   struct why *why) {
    const struct store_hash *hashes = pattern->hashes;
    struct asking a;
    int rc = 0;
    if (asking_new(&a, n) != 0)
        return why_set(why, "no memory");
    for (size_t i = 0; i < n; i++) {
        if (hashes[i].answer != STORE_UNANSWERED)
            continue;
        a.nodes[i] = redis_map_find(cluster->map, slot_of(cluster, pattern->subjects[i]),
                                    pattern->deadline, why);
        rc = a.nodes[i] == NULL ? -1 : rc;
    }
    bool more = true;
    for (int round = 0; more && round <= REDIRECTS_MAX; round++) {
        struct why reason;
        group(&a, pattern, n);
        if (ask_nodes(cluster, &a, &reason) != 0) {
            if (rc == 0)
                why_set(why, "%s", reason.text);
            rc = -1;
        }
        more = follow(cluster, &a, n);
    }
    for (size_t i = 0; i < n; i++)
        if (a.nodes[i] != NULL)
            redis_map_release(cluster->map, a.nodes[i]);
    asking_free(&a);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (hashes[i].answer == STORE_UNANSWERED) {
            why_set(why, "the nodes of the cluster redirect to each other");
            rc = -1;
        }
    }
    return rc;
}

static int cluster_get(struct store *store, const char *const *subjects, size_t n,
                       struct store_hash *hashes, int64_t limit, struct why *why) {
    struct store_cluster *cluster = (struct store_cluster *)store;
    int64_t own = clock_now_ms() + cluster->timeout, deadline = limit < own ? limit : own;
    /* of a node that is taken for down one look-up may try, and a size shows nothing */
    bool sizes =
        cluster->sizes_first || (store_doubts(&cluster->doubt) && redis_map_is_up(cluster->map));
    struct redis_hgetall pattern = {.prefix = cluster->prefix,
                                    .subjects = subjects,
                                    .hashes = hashes,
                                    .sizes = sizes,
                                    .deadline = deadline};
    int rc = ask_for(cluster, &pattern, n, why);
    if (pattern.sizes) {
        if (rc == 0 && cluster->sizes_first)
            pattern.deadline = clock_now_ms() + cluster->timeout;
        for (size_t i = 0; i < n; i++)
            store_hash_wants_reading(&hashes[i]);
        pattern.sizes = false;
        rc = ask_for(cluster, &pattern, n, why);
    }
    if (rc != 0 && clock_now_ms() >= deadline)
        store_doubt(&cluster->doubt);
    return rc;
}

static int cluster_walk(struct store *store, const char *subject, store_take_field *take,
                        void *context, struct why *why) {
    struct store_cluster *cluster = (struct store_cluster *)store;
    struct redis_walk_settings settings = {.prefix = cluster->prefix,
                                           .subject = subject,
                                           .timeout = cluster->timeout,
                                           .take = take,
                                           .context = context};
    struct redis_node *node = redis_map_find(cluster->map, slot_of(cluster, subject),
                                             clock_now_ms() + cluster->timeout, why);
    int answer = -1;
    for (int round = 0; node != NULL && round <= REDIRECTS_MAX; round++) {
        struct redis_redirect to = {.kind = REDIRECT_NONE};
        answer = redis_hscan(node->pool, &settings, &to, why);
        settings.asking = to.kind == REDIRECT_ASK;
        struct redis_node *next = NULL;
        if (answer < 0 && to.kind != REDIRECT_NONE)
            next = redis_map_redirected(cluster->map, to.host[0] != '\0' ? to.host : node->host,
                                        to.port);
        else if (answer < 0)
            redis_map_doubt(cluster->map);
        redis_map_release(cluster->map, node);
        node = next;
    }
    if (node != NULL)
        redis_map_release(cluster->map, node);
    return answer;
}

static int cluster_watch(struct store *store, store_told *told, void *context, struct why *why) {
    if (redis_map_watch(((struct store_cluster *)store)->map, told, context) == 0)
        return 0;
    return why_set(why, "cannot start the thread that watches Redis");
}

static void cluster_unwatch(struct store *store) {
    redis_map_unwatch(((struct store_cluster *)store)->map);
}

static bool cluster_is_up(struct store *store) {
    return redis_map_is_up(((struct store_cluster *)store)->map);
}

static const struct store_ops cluster_ops = {.get = cluster_get,
                                             .walk = cluster_walk,
                                             .watch = cluster_watch,
                                             .unwatch = cluster_unwatch,
                                             .free = cluster_free,
                                             .is_up = cluster_is_up};

int store_cluster_open(const struct store_settings *settings, const struct store_url *url,
                       struct store **out, struct why *why) {
    struct store_cluster *cluster = calloc(1, sizeof *cluster);
    if (cluster == NULL)
        return why_set(why, "no memory");
    cluster->store.ops = &cluster_ops;
    cluster->store.remote = true;
    cluster->timeout = settings->timeout;
    cluster->sizes_first = settings->sizes_first;
    cluster->prefix = strdup(settings->key_prefix);
    why_set(why, "no memory");
    if (cluster->prefix == NULL || redis_map_open(settings, url, &cluster->map, why) != 0) {
        cluster_free(&cluster->store);
        return -1;
    }
    *out = &cluster->store;
    return 0;
}
