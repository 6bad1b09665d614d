/*
 * The map of a cluster. Owns which node serves which slot; look-ups are store_cluster.c's, and the
 * thread that keeps the map true is keeper.c's. What begins with "now_" is called under the lock.
 */
#include "map_inside.h"

#include <stdlib.h>
#include <string.h>

#include "../redis/tls.h"
#include "gatepost/base/clock.h"
#include "gatepost/base/waiting.h"
#include "topology.h"

/* How long a node is kept to which others redirect but which serves no slot. */
#define GUEST_STAY 30000

int redis_map_open(const struct store_settings *settings, const struct store_url *url,
                   struct redis_map **out, struct why *why) {
    struct redis_map *map = calloc(1, sizeof *map);
    if (map == NULL)
        return why_set(why, "no memory");
    map->url = *url;
    map->timeout = settings->timeout;
    map->self_facts = settings->self_facts;
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

int redis_map_refresh(struct redis_map *map, int64_t deadline, struct why *why) {
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
    int rc = known ? 0 : redis_map_refresh(map, deadline, why);
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
