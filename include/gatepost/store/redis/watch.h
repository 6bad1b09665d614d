/*
 * The watch on a Redis server: it reports which keys have changed, and supervises the server for a
 * pool.
 *
 * A thread of its own holds the connections for both: whenever it could have missed something it
 * reports that anything may have changed, and while the server is down it tries several times a
 * second whether it is back.
 */
#ifndef GATEPOST_STORE_REDIS_WATCH_H
#define GATEPOST_STORE_REDIS_WATCH_H

#include "gatepost/store/redis/pool.h"
#include "gatepost/store/store.h"

struct redis_watch;

struct redis_watch_settings {
    struct redis_pool *pool; /* must outlive the watch */
    const char *store;       /* its name in the log */
    const char *prefix;      /* of the keys watched; not part of the reported names */
    bool self_facts;         /* those beside them are watched, too (core/store_key.h) */
    int64_t timeout;         /* milliseconds for each answer */
    store_told *told;
    /* Whether the server has any policy at all, as far as that can be found out: after it is
       watched, and after it has been emptied. NULL: not wanted. */
    void (*counted)(void *context, bool empty);
    void *context;
};

/* Starts the thread; the texts are copied. Returns NULL when it cannot be started. */
struct redis_watch *redis_watch_start(const struct redis_watch_settings *settings);

/*
 * Would a watch hear of changes? Asks the server as a watch does. Returns 1; 0 when the server does
 * not report them, with its answer in `why`; or -1 when that cannot be found out, with the reason,
 * also where this Redis user may not ask: that of the filter may.
 */
int redis_watch_check(struct redis_pool *pool, const char *prefix, int64_t timeout,
                      struct why *why);

/* The pool has another server now: leaves the old one at once. Any thread. */
void redis_watch_moved(struct redis_watch *watch);

/* Stops it and waits until it is gone: at most about `timeout`, while it resolves a name longer. */
void redis_watch_stop(struct redis_watch *watch);

/* In two halves, to stop several at once: the first does not wait. */
void redis_watch_ask_stop(struct redis_watch *watch);

#endif
