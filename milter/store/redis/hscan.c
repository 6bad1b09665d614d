/*
 * A walk over one hash. Owns the pieces and that server and reader work at the same time; what the
 * fields mean is its callers' business.
 */
#include "hscan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/clock.h"
#include "gatepost/core/store_key.h"
#include "gatepost/store/redis/errors.h"
#include "gatepost/store/redis/scan.h"

/* Fields asked for in one piece: some 15 ms in which Redis does nothing else. */
#define WALK_COUNT "10000"

struct walk {
    redisContext *conn;
    const char *key;
    int64_t timeout;
    char cursor[32]; /* of the piece asked for last; "0" before the first and after the last */
    bool whole;      /* by one HGETALL, where there is no HSCAN */
};

static int walk_ask(struct walk *walk, struct why *why) {
    const char *scan[] = {"HSCAN", walk->key, walk->cursor, "COUNT", WALK_COUNT};
    const char *all[] = {"HGETALL", walk->key};
    redisAppendCommandArgv(walk->conn, walk->whole ? 2 : 5, walk->whole ? all : scan, NULL);
    return redis_conn_flush(walk->conn, clock_now_ms() + walk->timeout, why);
}

/* Is HSCAN not permitted, or taken away? */
static bool no_scan(const redisReply *reply) {
    return reply->type == REDIS_REPLY_ERROR &&
           (strncmp(reply->str, "NOPERM", 6) == 0 ||
            strncmp(reply->str, "ERR unknown command", 19) == 0);
}

/*
 * The piece asked for, its fields in *fields, and the next one already asked for, so that server
 * and reader work at the same time. NULL with the reason when there is none. An error of the
 * server is a piece.
 */
static redisReply *walk_take(struct walk *walk, redisReply **fields, struct why *why) {
    redisReply *reply = redis_conn_read(walk->conn, clock_now_ms() + walk->timeout, why);
    if (reply == NULL)
        return NULL;
    if (!walk->whole && no_scan(reply)) {
        freeReplyObject(reply);
        walk->whole = true;
        if (walk_ask(walk, why) != 0)
            return NULL;
        return walk_take(walk, fields, why);
    }
    bool scanned = !walk->whole && redis_scan_is_page(reply);
    *fields = scanned ? reply->element[1] : reply;
    snprintf(walk->cursor, sizeof walk->cursor, "%s", scanned ? reply->element[0]->str : "0");
    bool good = reply->type == REDIS_REPLY_ERROR ||
                ((walk->whole || scanned) && redis_reply_is_fields(*fields));
    if (!good)
        why_set(why, "%s %s: malformed answer: it is no list of fields and values",
                walk->whole ? "HGETALL" : "HSCAN", walk->key);
    if (!good || (strcmp(walk->cursor, "0") != 0 && walk_ask(walk, why) != 0)) {
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

static int judge(const struct walk *walk, const char *error, struct redis_redirect *redirected,
                 struct why *why) {
    const char *command = walk->whole ? "HGETALL" : "HSCAN";
    enum redis_fault fault = redis_error_judge(error, command, walk->key, why);
    if (fault == FAULT_TYPE)
        return STORE_WRONG_TYPE;
    if (redirected != NULL && (fault == FAULT_MOVED || fault == FAULT_ASK))
        redis_redirect_read(error, redirected);
    return -1;
}

static int walk_all(struct walk *walk, const struct redis_walk_settings *settings,
                    struct redis_redirect *redirected, struct why *why) {
    int answer = walk_ask(walk, why) == 0 ? STORE_ABSENT : -1;
    bool more = answer >= 0;
    while (more) {
        redisReply *fields, *reply = walk_take(walk, &fields, why);
        if (reply == NULL)
            return -1;
        more = strcmp(walk->cursor, "0") != 0;
        if (reply->type == REDIS_REPLY_ERROR) {
            answer = judge(walk, reply->str, redirected, why);
        } else if (walk_fields(fields, settings->take, settings->context) != 0) {
            answer = -1;
            more = false;
            why_set(why, "no memory");
        } else if (fields->elements > 0) {
            answer = STORE_FOUND;
        }
        freeReplyObject(reply);
    }
    return answer;
}

int redis_hscan(struct redis_pool *pool, const struct redis_walk_settings *settings,
                struct redis_redirect *redirected, struct why *why) {
    char *key = store_key_make(settings->prefix, settings->subject);
    const char *asking[] = {"ASKING"};
    if (key == NULL)
        return why_set(why, "no memory");
    struct walk walk = {.key = key, .timeout = settings->timeout, .cursor = "0"};
    walk.conn = redis_pool_connect(pool, false, clock_now_ms() + settings->timeout, why);
    int answer = walk.conn == NULL ? -1 : 0;
    if (answer == 0 && settings->asking) {
        walk.whole = true; /* ASKING counts for one command only */
        redisReply *reply =
            redis_conn_ask(walk.conn, 1, asking, clock_now_ms() + settings->timeout, why);
        answer = reply == NULL ? -1 : 0;
        freeReplyObject(reply);
    }
    if (answer == 0)
        answer = walk_all(&walk, settings, redirected, why);
    if (walk.conn != NULL)
        redisFree(walk.conn);
    free(key);
    return answer;
}
