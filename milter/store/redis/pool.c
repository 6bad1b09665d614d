/*
 * A bounded pool of connections to one server. Owns their lending and the address they go to; what
 * is asked on them is its callers' business.
 */
#include "gatepost/store/redis/pool.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breaker.h"
#include "gatepost/base/clock.h"
#include "gatepost/base/keyed_hash.h"
#include "gatepost/base/log.h"
#include "gatepost/base/waiting.h"

/* Connections at the most. Each serves one look-up at a time, so this many may wait for Redis. */
#define POOL_MAX 16

struct redis_pool {
    char *store;
    struct redis_breaker breaker;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct redis_server server; /* under lock, as is all below */
    bool named;                 /* its host is a name, not an address */
    bool supervised;
    bool told_surplus;
    unsigned move;
    redisContext *idle[POOL_MAX];
    size_t n_idle, n_open;
};

static bool is_named(const struct redis_server *server) {
    unsigned char address[sizeof(struct in6_addr)];
    return server->path[0] == '\0' && inet_pton(AF_INET, server->host, address) != 1 &&
           inet_pton(AF_INET6, server->host, address) != 1;
}

struct redis_pool *redis_pool_new(const struct redis_server *server, const char *store) {
    struct redis_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    pool->store = strdup(store);
    if (pool->store == NULL) {
        free(pool);
        return NULL;
    }
    redis_breaker_init(&pool->breaker);
    pthread_mutex_init(&pool->lock, NULL);
    clock_cond_init(&pool->changed);
    pool->server = *server;
    pool->named = is_named(server);
    return pool;
}

/* Under the lock. */
static void drop_idle(struct redis_pool *pool) {
    while (pool->n_idle > 0) {
        redisFree(pool->idle[--pool->n_idle]);
        pool->n_open--;
    }
    pthread_cond_broadcast(&pool->changed);
}

void redis_pool_free(struct redis_pool *pool) {
    if (pool == NULL)
        return;
    drop_idle(pool);
    redis_breaker_destroy(&pool->breaker);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->changed);
    free(pool->store);
    free(pool);
}

struct redis_server redis_pool_server(struct redis_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    struct redis_server server = pool->server;
    pthread_mutex_unlock(&pool->lock);
    return server;
}

/* Lends out what is free; under the lock. False when there is nothing, or its address is unknown.
 */
static bool take_free(struct redis_pool *pool, bool fresh, struct redis_lease *lease) {
    bool locatable = !pool->named || !pool->supervised || pool->server.found[0] != '\0';
    lease->move = pool->move;
    if (pool->n_idle > 0 && !fresh) {
        lease->conn = pool->idle[--pool->n_idle];
    } else if (locatable && pool->n_idle > 0 && pool->n_open == POOL_MAX) {
        redisFree(pool->idle[--pool->n_idle]); /* a fresh one in its place */
        lease->conn = NULL;
    } else if (locatable && pool->n_open < POOL_MAX) {
        lease->conn = NULL;
        pool->n_open++;
    } else {
        return false;
    }
    return true;
}

/* Waits for something free; -1 with the reason at the deadline, or when the server is down. */
static int await_free(struct redis_pool *pool, bool fresh, int64_t deadline,
                      struct redis_lease *lease, struct redis_server *server, struct why *why) {
    struct waiting w = waiting_begin(deadline);
    bool allowed = true, taken;
    int rc = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        allowed = redis_breaker_allows(&pool->breaker, why);
        taken = allowed && take_free(pool, fresh, lease);
        if (!allowed || taken || rc != 0)
            break;
        rc = waiting_cond(&w, &pool->changed, &pool->lock);
    }
    if (taken && lease->conn == NULL)
        *server = pool->server;
    if (allowed && !taken) {
        if (pool->n_open == POOL_MAX)
            why_set(why, "all %d connections are busy for store_timeout", POOL_MAX);
        else
            why_set(why, "the address of %s is not known yet", pool->server.host);
    }
    pthread_mutex_unlock(&pool->lock);
    waiting_end(&w);
    return taken ? 0 : -1;
}

void redis_pool_report(struct redis_pool *pool, bool answered, int64_t began, const char *why) {
    char name[REDIS_NAME_SIZE];
    struct redis_server server;
    if (answered && redis_breaker_is_calm(&pool->breaker)) {
        redis_breaker_answered(&pool->breaker, "", ""); /* nothing to log */
        return;
    }
    server = redis_pool_server(pool);
    redis_server_name(&server, name);
    if (answered) {
        redis_breaker_answered(&pool->breaker, pool->store, name);
    } else if (redis_breaker_failed(&pool->breaker, began, why, pool->store, name)) {
        pthread_mutex_lock(&pool->lock); /* those who wait need not wait on */
        pthread_cond_broadcast(&pool->changed);
        pthread_mutex_unlock(&pool->lock);
    }
}

void redis_pool_report_key(struct redis_pool *pool, bool whole, const char *key, int64_t began,
                           const char *why) {
    char name[REDIS_NAME_SIZE];
    if (whole && atomic_load_explicit(&pool->breaker.n_late, memory_order_relaxed) == 0)
        return;
    struct redis_server server = redis_pool_server(pool);
    redis_server_name(&server, name);
    if (whole) {
        redis_breaker_served(&pool->breaker, pool->store, name);
    } else if (redis_breaker_late(&pool->breaker, keyed_hash(key, strlen(key)), began, why,
                                  pool->store, name)) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(&pool->changed);
        pthread_mutex_unlock(&pool->lock);
    }
}

/*
 * What nobody asked for would be taken for the next answer: a connection with that is closed, and
 * the lease is for a fresh one in its place. Over TLS it may be a message of TLS itself.
 */
static void drop_surplus(struct redis_pool *pool, struct redis_lease *lease,
                         struct redis_server *server) {
    char name[REDIS_NAME_SIZE];
    if (lease->conn == NULL || !redis_conn_has_surplus(lease->conn))
        return;
    redisFree(lease->conn);
    lease->conn = NULL;
    pthread_mutex_lock(&pool->lock);
    *server = pool->server;
    lease->move = pool->move;
    bool tell = !server->tls && !pool->told_surplus;
    pool->told_surplus = pool->told_surplus || tell;
    pthread_mutex_unlock(&pool->lock);
    if (tell)
        log_event(LOG_WARNING, "store-surplus", "store", pool->store, "server",
                  redis_server_name(server, name), "problem",
                  "octets that nobody has asked for: the connection is closed", (char *)NULL);
}

int redis_pool_take(struct redis_pool *pool, bool fresh, int64_t deadline,
                    struct redis_lease *lease, struct why *why) {
    struct redis_server server;
    *lease = (struct redis_lease){.began = clock_now_ms()};
    if (lease->began >= deadline) /* not this server took the time: nothing is reported of it */
        return why_set(why, "no time left within store_timeout");
    if (await_free(pool, fresh, deadline, lease, &server, why) != 0)
        return -1;
    drop_surplus(pool, lease, &server);
    if (lease->conn != NULL) {
        lease->pooled = true;
        return 0;
    }
    lease->conn = redis_conn_open(&server, deadline, why);
    if (lease->conn == NULL) {
        redis_pool_give(pool, lease, SERVICE_BROKEN, why->text);
        return -1;
    }
    return 0;
}

void redis_pool_give(struct redis_pool *pool, struct redis_lease *lease, enum redis_service service,
                     const char *why) {
    bool broken = service == SERVICE_BROKEN || service == SERVICE_CUT;
    bool closed = broken || service == SERVICE_DROPPED;
    if (closed && lease->conn != NULL)
        redisFree(lease->conn);
    pthread_mutex_lock(&pool->lock);
    bool moved = lease->move != pool->move;
    if (!closed && !moved) {
        pool->idle[pool->n_idle++] = lease->conn;
    } else {
        if (!closed)
            redisFree(lease->conn);
        pool->n_open--;
    }
    if (broken && lease->pooled) /* the others are as old as it is */
        drop_idle(pool);
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    lease->conn = NULL;
    if (!moved && service != SERVICE_CUT && service != SERVICE_DROPPED)
        redis_pool_report(pool, service == SERVICE_ANSWERED, lease->began, why);
}

redisContext *redis_pool_connect(struct redis_pool *pool, bool by_name, int64_t deadline,
                                 struct why *why) {
    pthread_mutex_lock(&pool->lock);
    struct redis_server server = pool->server;
    bool named = pool->named;
    unsigned move = pool->move;
    pthread_mutex_unlock(&pool->lock);
    if (by_name)
        server.found[0] = '\0';
    redisContext *conn = redis_conn_open(&server, deadline, why);
    if (conn == NULL || !named)
        return conn;
    pthread_mutex_lock(&pool->lock);
    if (move == pool->move) {
        redis_conn_peer(conn, pool->server.found, sizeof pool->server.found);
        pthread_cond_broadcast(&pool->changed);
    }
    pthread_mutex_unlock(&pool->lock);
    return conn;
}

/* No connection made so far serves again; under the lock. */
static void now_renew(struct redis_pool *pool) {
    pool->move++;
    drop_idle(pool);
}

void redis_pool_move(struct redis_pool *pool, const char *host, int port) {
    pthread_mutex_lock(&pool->lock);
    snprintf(pool->server.host, sizeof pool->server.host, "%s", host);
    pool->server.port = port;
    pool->server.found[0] = '\0';
    pool->named = is_named(&pool->server);
    now_renew(pool);
    pthread_mutex_unlock(&pool->lock);
}

void redis_pool_renew(struct redis_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    now_renew(pool);
    pthread_mutex_unlock(&pool->lock);
}

void redis_pool_supervise(struct redis_pool *pool, bool supervised) {
    pthread_mutex_lock(&pool->lock);
    pool->supervised = supervised;
    pthread_mutex_unlock(&pool->lock);
    redis_breaker_supervise(&pool->breaker, supervised);
}

bool redis_pool_awaits_answer(struct redis_pool *pool) {
    return redis_breaker_awaits_answer(&pool->breaker);
}

bool redis_pool_is_up(struct redis_pool *pool) {
    return !atomic_load(&pool->breaker.open);
}
