/*
 * The watch on a Redis server: tells which keys have changed (CLIENT TRACKING in broadcast mode,
 * redirected to a subscription of __redis__:invalidate; works with RESP2).
 *
 * A thread of its own holds both connections and supervises them: whenever it could have missed
 * something it tells that anything may have changed.
 */
#ifndef GATEPOST_REDIS_WATCH_H
#define GATEPOST_REDIS_WATCH_H

#include "gatepost/store.h"

struct redis_watch;

struct redis_watch_settings {
    const struct store_url *url;
    const char *user, *password; /* as redis_conn_open() takes them */
    const char *prefix;          /* of the keys watched; cut off in what is told */
    int64_t timeout;             /* milliseconds for each answer */
    store_told *told;
    void *context;
};

/* Starts the thread; the texts are copied. Returns NULL when it cannot be started. */
struct redis_watch *redis_watch_start(const struct redis_watch_settings *settings);

/* Stops it and waits until it is gone: at most about `timeout`. */
void redis_watch_stop(struct redis_watch *watch);

#endif
