/*
 * The map of a cluster. Owns which node serves which slot, the watches on them, and the thread that
 * keeps all this true; look-ups are store_cluster.c's. What begins with "now_" is called under the
 * lock.
 */
#include "gatepost/store/cluster/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../redis/tls.h"
#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"
#include "gatepost/base/waiting.h"
#include "topology.h"

/* How often the map is asked for: when all is well, when something is amiss, at the most. */
#define REFRESH_INTERVAL 2000
#define REPAIR_INTERVAL 500
#define REFRESH_PAUSE 50

/* How long a node is kept to which others redirect but which serves no slot. */
#define GUEST_STAY 30000

struct redis_map {
    struct store_url url;
    char *store, *prefix;
    struct redis_login *login;
    struct redis_tls *tls; /* NULL: without TLS */
    int64_t timeout;
    struct redis_watches merge;
    pthread_mutex_t asking;     /* held by who makes the map anew */
    struct redis_survey survey; /* under `asking` */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct redis_node *nodes;              /* under lock, as is all below */
    struct redis_node *slots[REDIS_SLOTS]; /* each counted in its node's `serves` */
    bool known, watching, stopping, doubted;
    struct why problem; /* why it is not known */
    pthread_t thread;
};

int redis_map_open(const struct store_settings *settings, const struct store_url *url,
                   struct redis_map **out, struct why *why) {
    struct redis_map *map = calloc(1, sizeof *map);
    if (map == NULL)
        return why_set(why, "no memory");
    map->url = *url;
    map->timeout = settings->timeout;
    map->store = strdup(settings->url);
    map->prefix = strdup(settings->key_prefix);
    redis_watches_init(&map->merge, map->store);
    pthread_mutex_init(&map->asking, NULL);
    pthread_mutex_init(&map->lock, NULL);
    clock_cond_init(&map->changed);
    int rc = 0;
    if (map->store == NULL || map->prefix == NULL)
        rc = why_set(why, "no memory");
    else if (redis_login_open(settings->user, settings->password_file, &map->login, why) != 0 ||
             (url->tls && redis_tls_open(settings, &map->tls, why) != 0))
        rc = -1;
    if (rc != 0) {
        redis_map_free(map);
        return -1;
    }
    *out = map;
    return 0;
}

void redis_map_free(struct redis_map *map) {
    if (map == NULL)
        return;
    for (struct redis_node *node = map->nodes, *next; node != NULL; node = next) {
        next = node->next;
        redis_node_release(node);
    }
    redis_watches_destroy(&map->merge);
    pthread_mutex_destroy(&map->asking);
    pthread_mutex_destroy(&map->lock);
    pthread_cond_destroy(&map->changed);
    redis_login_free(map->login);
    redis_tls_free(map->tls);
    free(map->store);
    free(map->prefix);
    free(map);
}

void redis_map_release(struct redis_map *map, struct redis_node *node) {
    pthread_mutex_lock(&map->lock);
    redis_node_release(node);
    pthread_mutex_unlock(&map->lock);
}

void redis_map_doubt(struct redis_map *map) {
    pthread_mutex_lock(&map->lock);
    map->doubted = true;
    pthread_cond_broadcast(&map->changed);
    pthread_mutex_unlock(&map->lock);
}

/*
 * The node of that address, new if need be. One that will be watched is supervised from the start:
 * nobody else shall wait for its name to be resolved. NULL when there is no memory.
 */
static struct redis_node *now_add(struct redis_map *map, const char *host, int port) {
    struct redis_node *node =
        redis_node_add(&map->nodes, host, port, map->login, map->tls, map->store, map);
    if (node != NULL && node->watch == NULL && map->watching)
        redis_pool_supervise(node->pool, true);
    return node;
}

struct redis_node *redis_map_redirected(struct redis_map *map, const char *host, int port) {
    pthread_mutex_lock(&map->lock);
    struct redis_node *node = now_add(map, host, port);
    if (node != NULL) {
        node->references++;
        node->guest_until = clock_now_ms() + GUEST_STAY;
    }
    map->doubted = true;
    pthread_cond_broadcast(&map->changed);
    bool unwatched = map->watching && (node == NULL || node->watch == NULL);
    pthread_mutex_unlock(&map->lock);
    if (unwatched)
        redis_watches_hold(&map->merge); /* the thread settles it */
    return node;
}

bool redis_map_is_up(struct redis_map *map) {
    pthread_mutex_lock(&map->lock);
    bool up = map->known || !map->watching;
    for (struct redis_node *node = map->nodes; node != NULL; node = node->next)
        up = up && (!node->serves || redis_pool_is_up(node->pool));
    pthread_mutex_unlock(&map->lock);
    return up;
}

/* Is everything as it should be? If not, the map is asked for more often. */
static bool now_in_order(const struct redis_map *map) {
    bool good = map->known;
    for (struct redis_node *node = map->nodes; node != NULL; node = node->next)
        good = good && node->watch != NULL && redis_pool_is_up(node->pool);
    return good;
}

/* Those to ask for the map: nodes that answer, then the seeds. NULL: no memory. */
static struct redis_server *whom_to_ask(struct redis_map *map, size_t *n_nodes, size_t *n) {
    *n_nodes = 0;
    pthread_mutex_lock(&map->lock);
    size_t room = map->url.n_seeds;
    for (struct redis_node *node = map->nodes; node != NULL; node = node->next)
        room++;
    struct redis_server *servers = calloc(room, sizeof *servers);
    for (struct redis_node *node = map->nodes; servers != NULL && node != NULL; node = node->next)
        if (redis_pool_is_up(node->pool))
            servers[(*n_nodes)++] = redis_pool_server(node->pool);
    pthread_mutex_unlock(&map->lock);
    *n = *n_nodes;
    for (size_t i = 0; servers != NULL && i < map->url.n_seeds; i++) {
        struct redis_server *server = &servers[(*n)++];
        server->login = map->login;
        server->tls = map->tls;
        server->port = map->url.seeds[i].port;
        memcpy(server->host, map->url.seeds[i].host, sizeof server->host);
    }
    return servers;
}

/* Does the topology say something else than the map? */
static bool now_differs(struct redis_map *map, const struct redis_topology *t,
                        struct redis_node **nodes) {
    for (size_t slot = 0; slot < REDIS_SLOTS; slot++)
        if (map->slots[slot] != (t->slots[slot] == TOPOLOGY_NOBODY ? NULL : nodes[t->slots[slot]]))
            return true;
    return false;
}

static void now_take(struct redis_map *map, const struct redis_topology *t,
                     struct redis_node **nodes) {
    for (struct redis_node *node = map->nodes; node != NULL; node = node->next)
        node->serves = false;
    for (size_t i = 0; i < t->n; i++)
        nodes[i]->serves = true;
    for (size_t slot = 0; slot < REDIS_SLOTS; slot++)
        map->slots[slot] = t->slots[slot] == TOPOLOGY_NOBODY ? NULL : nodes[t->slots[slot]];
    map->known = true;
    map->problem.text[0] = '\0';
    pthread_cond_broadcast(&map->changed);
}

/*
 * Makes the map that of the topology. Whatever moved, the store counts as lost from before a
 * look-up can see it until everything is watched again.
 */
static int adopt(struct redis_map *map, const struct redis_topology *t) {
    struct redis_node **nodes = calloc(t->n, sizeof(struct redis_node *));
    bool complete = nodes != NULL, differs = true;
    pthread_mutex_lock(&map->lock);
    for (size_t i = 0; complete && i < t->n; i++)
        complete = (nodes[i] = now_add(map, t->masters[i].host, t->masters[i].port)) != NULL;
    if (complete)
        differs = now_differs(map, t, nodes);
    pthread_mutex_unlock(&map->lock);
    if (complete && differs) { /* only who holds `asking` removes nodes */
        redis_watches_hold(&map->merge);
        pthread_mutex_lock(&map->lock);
        now_take(map, t, nodes);
        pthread_mutex_unlock(&map->lock);
    }
    free(nodes);
    return complete ? 0 : -1;
}

/* Asks for the map and takes it. Returns 0, or -1 with the reason. */
static int refresh(struct redis_map *map, int64_t deadline, struct why *why) {
    struct redis_topology *topology;
    size_t n_nodes, n;
    struct redis_server *servers = whom_to_ask(map, &n_nodes, &n);
    int rc = -1;
    why_set(why, "no memory");
    if (servers != NULL && n_nodes > 0)
        rc = redis_survey(&map->survey, servers, n_nodes, map->timeout, deadline, &topology, why);
    if (servers != NULL && rc != 0)
        rc = redis_survey(&map->survey, servers + n_nodes, n - n_nodes, map->timeout, deadline,
                          &topology, why);
    free(servers);
    if (rc != 0)
        return -1;
    rc = adopt(map, topology);
    if (rc != 0)
        why_set(why, "no memory");
    redis_topology_free(topology);
    return rc;
}

/* For one who has nobody that does it for him. */
static int refresh_here(struct redis_map *map, int64_t deadline, struct why *why) {
    pthread_mutex_lock(&map->asking);
    pthread_mutex_lock(&map->lock);
    bool known = map->known && !map->doubted;
    map->doubted = false;
    pthread_mutex_unlock(&map->lock);
    int rc = known ? 0 : refresh(map, deadline, why);
    pthread_mutex_unlock(&map->asking);
    return rc;
}

struct redis_node *redis_map_find(struct redis_map *map, unsigned slot, int64_t deadline,
                                  struct why *why) {
    struct waiting w = waiting_begin(deadline);
    int rc = 0;
    pthread_mutex_lock(&map->lock);
    if (!map->watching && (!map->known || map->doubted)) {
        pthread_mutex_unlock(&map->lock);
        if (refresh_here(map, deadline, why) != 0)
            return NULL; /* nothing was waited for */
        pthread_mutex_lock(&map->lock);
    }
    while (map->watching && !map->known && map->problem.text[0] == '\0' && rc == 0)
        rc = waiting_cond(&w, &map->changed, &map->lock);
    struct redis_node *node = map->slots[slot];
    if (node != NULL)
        node->references++;
    else if (map->problem.text[0] != '\0')
        *why = map->problem;
    else
        why_set(why, "no node of the cluster serves slot %u", slot);
    pthread_mutex_unlock(&map->lock);
    waiting_end(&w);
    return node;
}

/* ---- the thread ---- */

static void node_told(void *context, enum store_event event, const char *subject) {
    struct redis_node *node = context;
    redis_source_told(&node->source, event, subject);
    if (event == STORE_LOST) /* perhaps another one has its slots now */
        redis_map_doubt(node->owner);
}

static void node_counted(void *context, bool empty) {
    redis_source_counted(&((struct redis_node *)context)->source, empty);
}

static struct redis_node *first_unwatched(struct redis_map *map) {
    pthread_mutex_lock(&map->lock);
    struct redis_node *node = map->nodes;
    while (node != NULL && node->watch != NULL)
        node = node->next;
    pthread_mutex_unlock(&map->lock);
    return node;
}

/* Watches those that are new; false when one cannot be. Only this thread removes nodes. */
static bool watch_all(struct redis_map *map) {
    for (struct redis_node *node; (node = first_unwatched(map)) != NULL;) {
        struct redis_watch_settings settings = {.pool = node->pool,
                                                .store = map->store,
                                                .prefix = map->prefix,
                                                .timeout = map->timeout,
                                                .told = node_told,
                                                .counted = node_counted,
                                                .context = node};
        redis_watches_add(&map->merge, &node->source);
        struct redis_watch *watch = redis_watch_start(&settings);
        if (watch == NULL) {
            redis_watches_remove(&map->merge, &node->source);
            return false;
        }
        pthread_mutex_lock(&map->lock);
        node->watch = watch;
        pthread_mutex_unlock(&map->lock);
    }
    return true;
}

/* Takes those that nobody needs any more, or all, out of the list. */
static struct redis_node *take_out(struct redis_map *map, bool all) {
    pthread_mutex_lock(&map->lock);
    struct redis_node *out = redis_node_take_out(&map->nodes, all, clock_now_ms());
    if (all) {
        memset(map->slots, 0, sizeof map->slots);
        map->known = false;
    }
    pthread_mutex_unlock(&map->lock);
    return out;
}

static void retire(struct redis_map *map, struct redis_node *leaving) {
    for (struct redis_node *node = leaving; node != NULL; node = node->next)
        if (node->watch != NULL)
            redis_watch_ask_stop(node->watch);
    for (struct redis_node *node = leaving, *next; node != NULL; node = next) {
        next = node->next;
        if (node->watch != NULL) {
            redis_watch_stop(node->watch);
            redis_watches_remove(&map->merge, &node->source);
            node->watch = NULL;
        }
        pthread_mutex_lock(&map->lock);
        redis_node_release(node);
        pthread_mutex_unlock(&map->lock);
    }
}

static bool is_known(struct redis_map *map) {
    pthread_mutex_lock(&map->lock);
    bool known = map->known;
    pthread_mutex_unlock(&map->lock);
    return known;
}

static void complain(struct redis_map *map, const char *problem, bool *complained) {
    if (!*complained)
        log_event(LOG_WARNING, "store-cluster-error", "store", map->store, "problem", problem,
                  (char *)NULL);
    *complained = true;
    pthread_mutex_lock(&map->lock);
    why_set(&map->problem, "%s", problem);
    pthread_cond_broadcast(&map->changed);
    pthread_mutex_unlock(&map->lock);
}

/* Waits until the map is to be asked for; false when to stop. */
static bool await_doubt(struct redis_map *map) {
    int rc = 0;
    pthread_mutex_lock(&map->lock);
    int64_t now = clock_now_ms();
    struct timespec until =
        clock_timespec(now + (now_in_order(map) ? REFRESH_INTERVAL : REPAIR_INTERVAL));
    struct timespec pause = clock_timespec(now + REFRESH_PAUSE);
    while (!map->stopping && rc == 0)
        rc = pthread_cond_timedwait(&map->changed, &map->lock, &pause);
    rc = 0;
    while (!map->stopping && !map->doubted && rc == 0)
        rc = pthread_cond_timedwait(&map->changed, &map->lock, &until);
    map->doubted = false;
    bool stopping = map->stopping;
    pthread_mutex_unlock(&map->lock);
    return !stopping;
}

static void *run(void *arg) {
    struct redis_map *map = arg;
    bool complained = false;
    do {
        struct why why;
        pthread_mutex_lock(&map->asking);
        if (refresh(map, INT64_MAX, &why) == 0)
            complained = false;
        else
            complain(map, why.text, &complained);
        pthread_mutex_unlock(&map->asking);
        unsigned holds = redis_watches_holds(&map->merge);
        bool watched = watch_all(map);
        retire(map, take_out(map, false));
        if (watched && is_known(map))
            redis_watches_settle(&map->merge, holds);
    } while (await_doubt(map));
    return NULL;
}

int redis_map_watch(struct redis_map *map, store_told *told, void *context) {
    redis_watches_listen(&map->merge, told, context);
    pthread_mutex_lock(&map->lock);
    map->watching = true;
    map->stopping = false;
    pthread_mutex_unlock(&map->lock);
    if (pthread_create(&map->thread, NULL, run, map) == 0)
        return 0;
    map->watching = false;
    return -1;
}

void redis_map_unwatch(struct redis_map *map) {
    pthread_mutex_lock(&map->lock);
    bool watching = map->watching;
    map->stopping = true;
    pthread_cond_broadcast(&map->changed);
    pthread_mutex_unlock(&map->lock);
    if (!watching)
        return;
    pthread_join(map->thread, NULL);
    redis_watches_listen(&map->merge, NULL, NULL);
    retire(map, take_out(map, true));
    pthread_mutex_lock(&map->lock);
    map->watching = false;
    pthread_mutex_unlock(&map->lock);
}
