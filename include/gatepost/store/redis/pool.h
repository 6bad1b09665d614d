/*
 * Connections to one server, shared by those who look things up, and whether it answers.
 *
 * The pool grows on need up to a bound; each connection serves one look-up at a time. Any thread.
 * Deadlines are absolute milliseconds of clock_now_ms().
 */
#ifndef GATEPOST_STORE_REDIS_POOL_H
#define GATEPOST_STORE_REDIS_POOL_H

#include "gatepost/core/why.h"
#include "gatepost/store/redis/conn.h"

struct redis_pool;

/*
 * Copies what it is given but the login. `store` names the store in the log. NULL: no memory.
 * Everything taken from a pool is given back before it is freed.
 */
struct redis_pool *redis_pool_new(const struct redis_server *server, const char *store);
void redis_pool_free(struct redis_pool *pool);

/* A connection, lent for one look-up. */
struct redis_lease {
    redisContext *conn;
    bool pooled; /* it has served before */
    int64_t began;
    unsigned move; /* counts redis_pool_move() and redis_pool_renew() */
};

/*
 * Lends a connection: an idle one, a new one, or with `fresh` only a new one. Returns 0, or -1 with
 * the reason: at once when the server is known to be down, and never later than at the deadline. An
 * idle one on which something has arrived that nobody asked for is not lent but closed, and this
 * logged once.
 */
int redis_pool_take(struct redis_pool *pool, bool fresh, int64_t deadline,
                    struct redis_lease *lease, struct why *why);

/* How the server served a lease. */
enum redis_service {
    SERVICE_ANSWERED,
    SERVICE_LATER, /* it answered that it cannot serve now */
    SERVICE_CUT, /* the connection broke, which says nothing about the server; the next one will */
    SERVICE_DROPPED, /* the answer was given up, which says nothing of the server nor of its other
                        connections */
    SERVICE_BROKEN,  /* no answer, or none that can be used: the connection is closed */
};

/* Gives a lease back; `why` is the reason of what is not SERVICE_ANSWERED. */
void redis_pool_give(struct redis_pool *pool, struct redis_lease *lease, enum redis_service service,
                     const char *why);

/*
 * A connection of the caller's own, outside the bound and whatever is known of the server; to be
 * freed with redisFree(). NULL with the reason. With `by_name` a name is resolved anew, see
 * redis_conn_open(), and the pool goes to the address that answered from then on.
 */
redisContext *redis_pool_connect(struct redis_pool *pool, bool by_name, int64_t deadline,
                                 struct why *why);

/* Where it is now. */
struct redis_server redis_pool_server(struct redis_pool *pool);

/* The server to ask is another one from now on. Connections to the old one are closed. */
void redis_pool_move(struct redis_pool *pool, const char *host, int port);

/*
 * Since a connection broke, the server may be another one: a name may lead elsewhere, an address
 * may have moved, a proxy may have switched. Connections made so far are closed: idle ones now,
 * those that are lent when they are given back.
 */
void redis_pool_renew(struct redis_pool *pool);

/*
 * Somebody looks after the server from now on, by redis_pool_connect(), and reports: look-ups leave
 * it to him to find out that it is back, and to resolve its name.
 */
void redis_pool_supervise(struct redis_pool *pool, bool supervised);
void redis_pool_report(struct redis_pool *pool, bool answered, int64_t began, const char *why);

/*
 * Of a look-up that began at `began`: it got a whole answer for `key`, or one that had begun and
 * was late, with the reason. Late ones of several keys in a row take the server for down.
 */
void redis_pool_report_key(struct redis_pool *pool, bool whole, const char *key, int64_t began,
                           const char *why);

/* The server is taken for down, and any answer that is reported would change that. */
bool redis_pool_awaits_answer(struct redis_pool *pool);

bool redis_pool_is_up(struct redis_pool *pool);

#endif
