/*
 * The two connections by which a Redis server reports changed keys: CLIENT TRACKING in broadcast
 * mode on one, redirected to a subscription of __redis__:invalidate on the other (RESP2 has no
 * other way).
 *
 * By one thread. Every answer is waited for until a deadline, absolute milliseconds of
 * clock_now_ms().
 */
#ifndef GATEPOST_STORE_REDIS_TRACKING_H
#define GATEPOST_STORE_REDIS_TRACKING_H

#include "gatepost/core/why.h"
#include "gatepost/store/redis/pool.h"
#include "gatepost/store/store.h"

struct redis_tracking {
    redisContext *listening; /* subscribed */
    redisContext *tracked;   /* its tracking is redirected there; free for short questions */
    bool master;             /* the server must stay a master */
    const char *prefix;
    const char *self_prefix; /* of self facts, where changes of them are wanted; else NULL */
    store_told *told;
    void *context;
    bool pong_awaited; /* the answers to the last ping that have not come yet */
    int probe_awaited;
};

/*
 * Opens both for the keys with these prefixes; what changes from now on is reported. Returns 0, or
 * -1 with the reason; *refused then distinguishes an answer that will not change soon from a fault.
 * To be closed in every case.
 */
int redis_tracking_open(struct redis_tracking *tracking, struct redis_pool *pool, int64_t timeout,
                        bool *refused, struct why *why);
void redis_tracking_close(struct redis_tracking *tracking);

/*
 * May this user read self facts, where they are watched? Asks for a key that nobody has, right
 * after the opening. True also where that cannot be found out; false with the reason.
 */
bool redis_tracking_may_read_self(struct redis_tracking *tracking, int64_t timeout,
                                  struct why *why);

/*
 * Takes what has arrived on `listening`, which must be readable, and reports the changes. Returns
 * 0, or -1 with the reason when the connection has ended.
 */
int redis_tracking_read(struct redis_tracking *tracking, struct why *why);

/*
 * Asks on both connections for a sign of life and whether the server serves look-ups, without
 * waiting for the answers: when they have come nothing is awaited any more. Returns 0, or -1 with
 * the reason.
 */
int redis_tracking_ping(struct redis_tracking *tracking, int64_t deadline, struct why *why);

/*
 * Takes what has arrived on `tracked`, which must be readable. An answer that is none to a ping is
 * handed out in `other`, to be freed by the caller; else that is NULL. Returns 0, or -1 with the
 * reason: the connection has ended, or the server does not serve.
 */
int redis_tracking_read_answer(struct redis_tracking *tracking, redisReply **other,
                               struct why *why);

/*
 * Does the server serve look-ups, on this connection? Returns 0, or -1 with the reason, and then
 * the connection must not be used any more. `master`: it must be one.
 */
int redis_probe(redisContext *conn, const char *prefix, bool master, int64_t deadline,
                struct why *why);

#endif
