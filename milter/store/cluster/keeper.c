/*
 * The thread that keeps a cluster's map true. Owns when the map is asked for, and the watches on
 * its nodes. What begins with "now_" is called under the lock.
 */
#include <string.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"
#include "map_inside.h"

/* How often the map is asked for: when all is well, when something is amiss, at the most. */
#define REFRESH_INTERVAL 2000
#define REPAIR_INTERVAL 500
#define REFRESH_PAUSE 50

/* Is everything as it should be? If not, the map is asked for more often. */
static bool now_in_order(const struct redis_map *map) {
    bool good = map->known;
    for (struct redis_node *node = map->nodes; node != NULL; node = node->next)
        good = good && node->watch != NULL && redis_pool_is_up(node->pool);
    return good;
}

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
                                                .self_facts = map->self_facts,
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
        if (redis_map_refresh(map, INT64_MAX, &why) == 0)
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
