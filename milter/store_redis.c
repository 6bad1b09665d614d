/*
 * The store in Redis. Owns a bounded pool of connections and the look-up of several hashes in one
 * round trip; decoding and caching are not its business.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/clock.h"
#include "gatepost/redis_conn.h"
#include "gatepost/redis_watch.h"
#include "gatepost/store.h"

/* Connections at the most. Each serves one look-up at a time, so this many may wait for Redis. */
#define POOL_MAX 16

struct store_redis {
    struct store store;
    struct store_url url;
    char *user, *password, *prefix; /* password NULL for none */
    int64_t timeout;
    struct redis_watch *watch; /* NULL until it is watched */
    pthread_mutex_t lock;
    pthread_cond_t freed;
    redisContext *idle[POOL_MAX]; /* under lock, as are the next two */
    size_t n_idle, n_open;
};

/* The first line of a file; NULL with the reason when it cannot be read or is empty. */
static char *read_password(const char *path, char *why, size_t why_size) {
    char line[1024];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        snprintf(why, why_size, "store_password_file: %s: %m", path);
        return NULL;
    }
    char *got = fgets(line, sizeof line, file);
    fclose(file);
    if (got != NULL)
        line[strcspn(line, "\r\n")] = '\0';
    if (got == NULL || line[0] == '\0') {
        snprintf(why, why_size, "store_password_file: %s: its first line is empty", path);
        return NULL;
    }
    return strdup(line);
}

static void redis_free(struct store *store) {
    struct store_redis *redis = (struct store_redis *)store;
    for (size_t i = 0; i < redis->n_idle; i++)
        redisFree(redis->idle[i]);
    pthread_mutex_destroy(&redis->lock);
    pthread_cond_destroy(&redis->freed);
    free(redis->user);
    free(redis->password);
    free(redis->prefix);
    free(redis);
}

/*
 * Takes an idle connection, or the right to open one (then *conn is NULL). Waits for either until
 * the deadline; -1 when it passes.
 */
static int pool_take(struct store_redis *redis, int64_t deadline, redisContext **conn) {
    struct timespec until = clock_timespec(deadline);
    int rc = 0;
    *conn = NULL;
    pthread_mutex_lock(&redis->lock);
    while (redis->n_idle == 0 && redis->n_open == POOL_MAX && rc == 0)
        rc = pthread_cond_timedwait(&redis->freed, &redis->lock, &until);
    bool taken = redis->n_idle > 0 || redis->n_open < POOL_MAX;
    if (redis->n_idle > 0)
        *conn = redis->idle[--redis->n_idle];
    else if (taken)
        redis->n_open++;
    pthread_mutex_unlock(&redis->lock);
    return taken ? 0 : -1;
}

/* Gives back what pool_take() gave: a connection that still works, or NULL for a dead one. */
static void pool_give(struct store_redis *redis, redisContext *conn) {
    pthread_mutex_lock(&redis->lock);
    if (conn != NULL)
        redis->idle[redis->n_idle++] = conn;
    else
        redis->n_open--;
    pthread_cond_signal(&redis->freed);
    pthread_mutex_unlock(&redis->lock);
}

/* A broken connection tells of the others: they are as old as it is. */
static void pool_drop_idle(struct store_redis *redis) {
    pthread_mutex_lock(&redis->lock);
    while (redis->n_idle > 0) {
        redisFree(redis->idle[--redis->n_idle]);
        redis->n_open--;
    }
    pthread_cond_broadcast(&redis->freed);
    pthread_mutex_unlock(&redis->lock);
}

static void reply_free(void *reply) {
    freeReplyObject(reply);
}

/* A hash from its reply, which it then owns; -1 with the reason when it is no hash (still ours). */
static int read_hash(redisReply *reply, struct store_hash *hash, char *why, size_t why_size) {
    if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "WRONGTYPE", 9) == 0) {
        hash->answer = STORE_WRONG_TYPE;
    } else if (reply->type == REDIS_REPLY_ERROR) {
        snprintf(why, why_size, "HGETALL: %s", reply->str);
        return -1;
    } else if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 2 != 0) {
        snprintf(why, why_size, "HGETALL: an answer that is no list of fields and values");
        return -1;
    } else if (reply->elements == 0) {
        hash->answer = STORE_ABSENT;
    } else {
        size_t n = reply->elements / 2;
        hash->fields = calloc(n, sizeof *hash->fields);
        if (hash->fields == NULL) {
            snprintf(why, why_size, "no memory");
            return -1;
        }
        hash->answer = STORE_FOUND;
        hash->n = n;
        for (size_t i = 0; i < n; i++) {
            const redisReply *name = reply->element[2 * i], *value = reply->element[2 * i + 1];
            hash->fields[i] = (struct store_field){name->str, value->str, name->len, value->len};
        }
    }
    hash->owner = reply;
    hash->owner_free = reply_free;
    return 0;
}

static void append_command(redisContext *conn, const char *prefix, const char *subject) {
    char key[1024];
    size_t prefix_len = strlen(prefix), len = strlen(subject);
    char *long_key = prefix_len + len < sizeof key ? NULL : malloc(prefix_len + len + 1);
    char *at = long_key != NULL ? long_key : key;
    if (prefix_len + len >= sizeof key && long_key == NULL)
        return; /* no memory: the missing reply ends in store_timeout */
    memcpy(at, prefix, prefix_len);
    memcpy(at + prefix_len, subject, len + 1);
    const char *argv[] = {"HGETALL", at};
    const size_t lengths[] = {7, prefix_len + len};
    redisAppendCommandArgv(conn, 2, argv, lengths);
    free(long_key);
}

enum outcome { LOOKUP_DONE, LOOKUP_REFUSED, LOOKUP_BROKEN };

/* One pipelined look-up. REFUSED: the server answered, but an error; BROKEN: conn is of no use. */
static enum outcome look_up(struct store_redis *redis, redisContext *conn,
                            const char *const *subjects, size_t n, struct store_hash *hashes,
                            int64_t deadline, char *why, size_t why_size) {
    enum outcome outcome = LOOKUP_DONE;
    for (size_t i = 0; i < n; i++)
        append_command(conn, redis->prefix, subjects[i]);
    if (redis_conn_flush(conn, deadline, why, why_size) != 0)
        return LOOKUP_BROKEN;
    for (size_t i = 0; i < n; i++) {
        redisReply *reply = redis_conn_read(conn, deadline, why, why_size);
        if (reply == NULL)
            return LOOKUP_BROKEN;
        if (read_hash(reply, &hashes[i], why, why_size) != 0) {
            freeReplyObject(reply);
            outcome = LOOKUP_REFUSED;
        }
    }
    return outcome;
}

static void clear_all(struct store_hash *hashes, size_t n) {
    for (size_t i = 0; i < n; i++)
        store_hash_clear(&hashes[i]);
}

/*
 * A pooled connection may have died since it was last used (a server restart): then, and only
 * then, one fresh one is tried within the same deadline.
 */
static int redis_get(struct store *store, const char *const *subjects, size_t n,
                     struct store_hash *hashes, char *why, size_t why_size) {
    struct store_redis *redis = (struct store_redis *)store;
    int64_t deadline = clock_now_ms() + redis->timeout;
    enum outcome outcome = LOOKUP_BROKEN;
    redisContext *conn;
    if (pool_take(redis, deadline, &conn) != 0) {
        snprintf(why, why_size, "all %d connections are busy for store_timeout", POOL_MAX);
        return -1;
    }
    bool pooled = conn != NULL;
    if (pooled) {
        outcome = look_up(redis, conn, subjects, n, hashes, deadline, why, why_size);
        if (outcome == LOOKUP_BROKEN) {
            redisFree(conn);
            conn = NULL;
            clear_all(hashes, n);
            pool_drop_idle(redis);
        }
    }
    if (conn == NULL)
        conn = redis_conn_open(&redis->url, redis->user, redis->password, deadline, why, why_size);
    if (conn != NULL && outcome == LOOKUP_BROKEN) {
        outcome = look_up(redis, conn, subjects, n, hashes, deadline, why, why_size);
        if (outcome == LOOKUP_BROKEN) {
            redisFree(conn);
            conn = NULL;
        }
    }
    pool_give(redis, conn);
    return outcome == LOOKUP_DONE ? 0 : -1;
}

/* Fields asked for in one piece of a walk: some 15 ms in which Redis does nothing else. */
#define WALK_COUNT "10000"

/* A walk over one hash, on a connection of its own: the pool's are for messages. */
struct walk {
    redisContext *conn;
    const char *key;
    int64_t timeout;
    char cursor[32]; /* of the piece asked for last; "0" before the first and behind the last */
    bool whole;      /* by one HGETALL, where HSCAN is not permitted */
};

static int walk_ask(struct walk *walk, char *why, size_t why_size) {
    const char *scan[] = {"HSCAN", walk->key, walk->cursor, "COUNT", WALK_COUNT};
    const char *all[] = {"HGETALL", walk->key};
    redisAppendCommandArgv(walk->conn, walk->whole ? 2 : 5, walk->whole ? all : scan, NULL);
    return redis_conn_flush(walk->conn, clock_now_ms() + walk->timeout, why, why_size);
}

/*
 * The piece asked for, its fields in *fields, and the next one already asked for, so that server
 * and reader work at the same time. NULL with the reason when there is none. An error of the
 * server is a piece.
 */
static redisReply *walk_take(struct walk *walk, redisReply **fields, char *why, size_t why_size) {
    redisReply *reply = redis_conn_read(walk->conn, clock_now_ms() + walk->timeout, why, why_size);
    if (reply == NULL)
        return NULL;
    if (!walk->whole && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOPERM", 6) == 0) {
        freeReplyObject(reply);
        walk->whole = true;
        if (walk_ask(walk, why, why_size) != 0)
            return NULL;
        return walk_take(walk, fields, why, why_size);
    }
    bool scanned = !walk->whole && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    *fields = scanned ? reply->element[1] : reply;
    snprintf(walk->cursor, sizeof walk->cursor, "%s", scanned ? reply->element[0]->str : "0");
    bool good = reply->type == REDIS_REPLY_ERROR || (*fields)->type == REDIS_REPLY_ARRAY;
    if (!good)
        snprintf(why, why_size, "an answer that is no list of fields and values");
    if (!good || (strcmp(walk->cursor, "0") != 0 && walk_ask(walk, why, why_size) != 0)) {
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}

static int walk_fields(const redisReply *fields, store_take_field *take, void *context) {
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *name = fields->element[i], *value = fields->element[i + 1];
        const struct store_field field = {name->str, value->str, name->len, value->len};
        if (take(context, &field) != 0)
            return -1;
    }
    return 0;
}

static int walk_all(struct walk *walk, store_take_field *take, void *context, char *why,
                    size_t why_size) {
    int answer = walk_ask(walk, why, why_size) == 0 ? STORE_ABSENT : -1;
    bool more = answer >= 0;
    while (more) {
        redisReply *fields, *reply = walk_take(walk, &fields, why, why_size);
        if (reply == NULL)
            return -1;
        more = strcmp(walk->cursor, "0") != 0;
        if (reply->type == REDIS_REPLY_ERROR) {
            answer = strncmp(reply->str, "WRONGTYPE", 9) == 0 ? STORE_WRONG_TYPE : -1;
            snprintf(why, why_size, "%s", reply->str);
        } else if (walk_fields(fields, take, context) != 0) {
            answer = -1;
            more = false;
            snprintf(why, why_size, "no memory");
        } else if (fields->elements > 0) {
            answer = STORE_FOUND;
        }
        freeReplyObject(reply);
    }
    return answer;
}

static int redis_walk(struct store *store, const char *subject, store_take_field *take,
                      void *context, char *why, size_t why_size) {
    struct store_redis *redis = (struct store_redis *)store;
    char *key = NULL;
    if (asprintf(&key, "%s%s", redis->prefix, subject) < 0) {
        snprintf(why, why_size, "no memory");
        return -1;
    }
    struct walk walk = {.key = key, .timeout = redis->timeout, .cursor = "0"};
    walk.conn = redis_conn_open(&redis->url, redis->user, redis->password,
                                clock_now_ms() + redis->timeout, why, why_size);
    int answer = walk.conn == NULL ? -1 : walk_all(&walk, take, context, why, why_size);
    if (walk.conn != NULL)
        redisFree(walk.conn);
    free(key);
    return answer;
}

static int redis_start_watch(struct store *store, store_told *told, void *context, char *why,
                             size_t why_size) {
    struct store_redis *redis = (struct store_redis *)store;
    const struct redis_watch_settings settings = {.url = &redis->url,
                                                  .user = redis->user,
                                                  .password = redis->password,
                                                  .prefix = redis->prefix,
                                                  .timeout = redis->timeout,
                                                  .told = told,
                                                  .context = context};
    redis->watch = redis_watch_start(&settings);
    if (redis->watch != NULL)
        return 0;
    snprintf(why, why_size, "the thread that watches Redis cannot be started");
    return -1;
}

static void redis_unwatch(struct store *store) {
    struct store_redis *redis = (struct store_redis *)store;
    redis_watch_stop(redis->watch);
    redis->watch = NULL;
}

static const struct store_ops redis_ops = {redis_get, redis_walk, redis_start_watch, redis_unwatch,
                                           redis_free};

int store_redis_open(const struct store_settings *settings, const struct store_url *url,
                     struct store **out, char *why, size_t why_size) {
    struct store_redis *redis = calloc(1, sizeof *redis);
    if (redis == NULL) {
        snprintf(why, why_size, "no memory");
        return -1;
    }
    redis->store.ops = &redis_ops;
    redis->store.remote = true;
    redis->url = *url;
    redis->timeout = settings->timeout;
    pthread_mutex_init(&redis->lock, NULL);
    clock_cond_init(&redis->freed);
    redis->user = strdup(settings->user);
    redis->prefix = strdup(settings->key_prefix);
    bool ready = redis->user != NULL && redis->prefix != NULL;
    if (!ready)
        snprintf(why, why_size, "no memory");
    if (ready && settings->password_file[0] != '\0') {
        redis->password = read_password(settings->password_file, why, why_size);
        ready = redis->password != NULL;
    }
    if (!ready) {
        redis_free(&redis->store);
        return -1;
    }
    *out = &redis->store;
    return 0;
}
