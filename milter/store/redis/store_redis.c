/*
 * The store in one Redis server, one that Sentinels name included. Owns its pool of connections and
 * its watch; decoding and caching are not its business.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../implement.h"
#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"
#include "gatepost/store/redis/endpoint.h"
#include "gatepost/store/redis/watch.h"
#include "gatepost/store/store.h"
#include "hgetall.h"
#include "hscan.h"

struct store_redis {
    struct store store;
    char *name, *prefix;
    int64_t timeout;
    bool sizes_first, self_facts;
    struct store_doubt doubt;
    struct redis_endpoint server;
    struct redis_watch *watch; /* NULL until it is watched */
    store_told *told;
    void *context;
};

static void redis_free(struct store *store) {
    struct store_redis *redis = (struct store_redis *)store;
    redis_endpoint_clear(&redis->server);
    free(redis->name);
    free(redis->prefix);
    free(redis);
}

/*
 * Sizes first: only what is there and not too large is read. Where a size is refused, the reading
 * says why.
 */
static int get_by_size(struct store_redis *redis, struct redis_hgetall *lookup, struct why *why) {
    size_t *which = malloc(lookup->n * sizeof *which), n = 0;
    if (which == NULL)
        return why_set(why, "no memory");
    lookup->sizes = true;
    redis_hgetall_send(lookup, why);
    if (redis_hgetall_read(lookup, why) == 0 && redis->sizes_first)
        lookup->deadline = clock_now_ms() + redis->timeout;
    for (size_t i = 0; i < lookup->n; i++)
        if (store_hash_wants_reading(&lookup->hashes[i]))
            which[n++] = i;
    struct redis_hgetall reading = {.pool = lookup->pool,
                                    .prefix = lookup->prefix,
                                    .subjects = lookup->subjects,
                                    .hashes = lookup->hashes,
                                    .which = which,
                                    .n = n,
                                    .deadline = lookup->deadline};
    int rc = 0;
    if (n > 0) {
        redis_hgetall_send(&reading, why);
        rc = redis_hgetall_read(&reading, why);
    }
    free(which);
    return rc;
}

static int redis_get(struct store *store, const char *const *subjects, size_t n,
                     struct store_hash *hashes, int64_t limit, struct why *why) {
    struct store_redis *redis = (struct store_redis *)store;
    int64_t deadline = clock_now_ms() + redis->timeout;
    struct redis_hgetall lookup = {.pool = redis->server.pool,
                                   .prefix = redis->prefix,
                                   .subjects = subjects,
                                   .hashes = hashes,
                                   .n = n,
                                   .deadline = limit < deadline ? limit : deadline};
    if (redis_endpoint_need(&redis->server, lookup.deadline, why) != 0)
        return -1;
    int64_t own_deadline = lookup.deadline;
    int rc;
    /* while it is taken for down one look-up may try, and a size shows nothing */
    bool up = redis_pool_is_up(redis->server.pool);
    if (redis->sizes_first || (up && store_doubts(&redis->doubt))) {
        rc = get_by_size(redis, &lookup, why);
    } else {
        redis_hgetall_send(&lookup, why);
        rc = redis_hgetall_read(&lookup, why);
    }
    if (rc != 0 && clock_now_ms() >= own_deadline)
        store_doubt(&redis->doubt);
    return rc;
}

static int redis_walk_subject(struct store *store, const char *subject, store_take_field *take,
                              void *context, struct why *why) {
    struct store_redis *redis = (struct store_redis *)store;
    const struct redis_walk_settings settings = {.prefix = redis->prefix,
                                                 .subject = subject,
                                                 .timeout = redis->timeout,
                                                 .take = take,
                                                 .context = context};
    if (redis_endpoint_need(&redis->server, clock_now_ms() + redis->timeout, why) != 0)
        return -1;
    return redis_hscan(redis->server.pool, &settings, NULL, why);
}

static void on_told(void *context, enum store_event event, const char *subject) {
    struct store_redis *redis = context;
    redis->told(redis->context, event, subject);
}

static void on_counted(void *context, bool empty) {
    struct store_redis *redis = context;
    if (empty)
        log_event(LOG_WARNING, "policy-empty", "store", redis->name, "problem",
                  "there is no account in the store: everything is allowed, and no sender is known",
                  (char *)NULL);
}

static void on_moved(void *context) {
    struct store_redis *redis = context;
    if (redis->watch != NULL)
        redis_watch_moved(redis->watch);
}

static int redis_start_watch(struct store *store, store_told *told, void *context,
                             struct why *why) {
    struct store_redis *redis = (struct store_redis *)store;
    const struct redis_watch_settings settings = {.pool = redis->server.pool,
                                                  .store = redis->name,
                                                  .prefix = redis->prefix,
                                                  .self_facts = redis->self_facts,
                                                  .timeout = redis->timeout,
                                                  .told = on_told,
                                                  .counted = on_counted,
                                                  .context = redis};
    redis->told = told;
    redis->context = context;
    /* the watch needs a server; that there is none now is no error */
    redis_endpoint_need(&redis->server, clock_now_ms() + redis->timeout, why);
    redis->watch = redis_watch_start(&settings);
    if (redis->watch != NULL &&
        (redis->server.sentinel == NULL ||
         redis_sentinel_follow(redis->server.sentinel, on_moved, redis) == 0))
        return 0;
    return why_set(why, "cannot start the thread that watches Redis");
}

static void redis_unwatch(struct store *store) {
    struct store_redis *redis = (struct store_redis *)store;
    if (redis->server.sentinel != NULL)
        redis_sentinel_unfollow(redis->server.sentinel);
    redis_watch_stop(redis->watch);
    redis->watch = NULL;
}

static bool redis_is_up(struct store *store) {
    return redis_pool_is_up(((struct store_redis *)store)->server.pool);
}

static const struct store_ops redis_ops = {.get = redis_get,
                                           .walk = redis_walk_subject,
                                           .watch = redis_start_watch,
                                           .unwatch = redis_unwatch,
                                           .free = redis_free,
                                           .is_up = redis_is_up};

static int open_parts(struct store_redis *redis, const struct store_settings *settings,
                      const struct store_url *url, struct why *why) {
    redis->name = strdup(settings->url);
    redis->prefix = strdup(settings->key_prefix);
    if (redis->name == NULL || redis->prefix == NULL)
        return why_set(why, "no memory");
    return redis_endpoint_open(settings, url, &redis->server, why);
}

int store_redis_open(const struct store_settings *settings, const struct store_url *url,
                     struct store **out, struct why *why) {
    struct store_redis *redis = calloc(1, sizeof *redis);
    if (redis == NULL)
        return why_set(why, "no memory");
    redis->store.ops = &redis_ops;
    redis->store.remote = true;
    redis->timeout = settings->timeout;
    redis->sizes_first = settings->sizes_first;
    redis->self_facts = settings->self_facts;
    if (open_parts(redis, settings, url, why) != 0) {
        redis_free(&redis->store);
        return -1;
    }
    *out = &redis->store;
    return 0;
}
