/*
 * Redis's tracking of keys. Owns the commands and messages of it; when it is begun and what a
 * change means is its callers' business.
 */
#include "tracking.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/clock.h"
#include "gatepost/core/store_key.h"
#include "gatepost/store/redis/errors.h"

/* One command of words that must succeed. */
static redisReply *command(redisContext *conn, int argc, const char **argv, int64_t deadline,
                           bool *refused, struct why *why) {
    char name[64];
    redisReply *reply = redis_conn_ask(conn, argc, argv, deadline, why);
    if (reply == NULL || reply->type != REDIS_REPLY_ERROR)
        return reply;
    snprintf(name, sizeof name, "%s %s", argv[0], argv[1]);
    enum redis_fault fault = redis_error_judge(reply->str, name, NULL, why);
    *refused = fault != FAULT_LATER && fault != FAULT_LOGIN;
    freeReplyObject(reply);
    return NULL;
}

/* Asks as a look-up does, but for a key that nobody has. */
static void append_probe(redisContext *conn, const char *prefix, bool master) {
    redisAppendCommand(conn, "HGETALL %saccount:", prefix);
    if (master)
        redisAppendCommand(conn, "ROLE");
}

/* Judges one reply to a probe; frees it. */
static int take_probe(redisReply *reply, bool is_role, struct why *why) {
    int rc = 0;
    if (is_role) {
        rc = redis_conn_check_role(reply, why);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        enum redis_fault fault = redis_error_judge(reply->str, "HGETALL", NULL, why);
        rc = fault == FAULT_LATER || fault == FAULT_LOGIN ? -1 : 0;
    }
    freeReplyObject(reply);
    return rc;
}

int redis_probe(redisContext *conn, const char *prefix, bool master, int64_t deadline,
                struct why *why) {
    append_probe(conn, prefix, master);
    if (redis_conn_flush(conn, deadline, why) != 0)
        return -1;
    for (int i = 0; i < (master ? 2 : 1); i++) {
        redisReply *reply = redis_conn_read(conn, deadline, why);
        if (reply == NULL || take_probe(reply, i == 1, why) != 0)
            return -1;
    }
    return 0;
}

static bool begins_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int open_both(struct redis_tracking *t, struct redis_pool *pool, int64_t timeout,
                     struct why *why) {
    t->listening = redis_pool_connect(pool, true, clock_now_ms() + timeout, why);
    if (t->listening == NULL)
        return -1;
    t->tracked = redis_pool_connect(pool, true, clock_now_ms() + timeout, why);
    if (t->tracked == NULL)
        return -1;
    /* while it loads its data a server lets itself be tracked but not asked */
    return redis_probe(t->tracked, t->prefix, t->master, clock_now_ms() + timeout, why);
}

static bool is_alive(redisContext *listening, int64_t timeout) {
    const char *ping[] = {"PING"};
    struct why why;
    redisReply *reply = redis_conn_ask(listening, 1, ping, clock_now_ms() + timeout, &why);
    freeReplyObject(reply);
    return reply != NULL;
}

int redis_tracking_open(struct redis_tracking *t, struct redis_pool *pool, int64_t timeout,
                        bool *refused, struct why *why) {
    const char *client_id[] = {"CLIENT", "ID"};
    const char *subscribe[] = {"SUBSCRIBE", "__redis__:invalidate"};
    char id[24];
    *refused = false;
    t->listening = t->tracked = NULL;
    t->pong_awaited = false;
    t->probe_awaited = 0;
    t->master = redis_pool_server(pool).master;
    if (open_both(t, pool, timeout, why) != 0)
        return -1;
    redisReply *reply = command(t->listening, 2, client_id, clock_now_ms() + timeout, refused, why);
    if (reply == NULL)
        return -1;
    snprintf(id, sizeof id, "%lld", reply->integer);
    freeReplyObject(reply);
    reply = command(t->listening, 2, subscribe, clock_now_ms() + timeout, refused, why);
    if (reply == NULL)
        return -1;
    freeReplyObject(reply);
    const char *track[] = {"CLIENT", "TRACKING", "ON",      "REDIRECT", id,
                           "BCAST",  "PREFIX",   t->prefix, "PREFIX",   t->self_prefix};
    /* one that begins with the other would be told of twice, which Redis refuses */
    bool both = t->self_prefix != NULL && !begins_with(t->self_prefix, t->prefix);
    reply = command(t->tracked, both ? 10 : 8, track, clock_now_ms() + timeout, refused, why);
    if (reply == NULL) {
        /* a subscription that has just been closed is refused as well: that is a fault */
        *refused = *refused && is_alive(t->listening, timeout);
        return -1;
    }
    freeReplyObject(reply);
    return 0;
}

bool redis_tracking_may_read_self(struct redis_tracking *t, int64_t timeout, struct why *why) {
    if (t->self_prefix == NULL)
        return true;
    const char *argv[] = {"HGETALL", t->self_prefix};
    redisReply *reply = redis_conn_ask(t->tracked, 2, argv, clock_now_ms() + timeout, why);
    bool denied = reply != NULL && reply->type == REDIS_REPLY_ERROR &&
                  strncmp(reply->str, "NOPERM", strlen("NOPERM")) == 0;
    if (denied)
        redis_error_judge(reply->str, "HGETALL", t->self_prefix, why);
    freeReplyObject(reply);
    return !denied;
}

void redis_tracking_close(struct redis_tracking *t) {
    if (t->listening != NULL)
        redisFree(t->listening);
    if (t->tracked != NULL)
        redisFree(t->tracked);
    t->listening = t->tracked = NULL;
}

static bool is_string(const redisReply *reply, const char *text) {
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

/* A key that has changed. */
static void tell_key(struct redis_tracking *t, const char *key) {
    char *subject = NULL;
    if (t->self_prefix != NULL && begins_with(key, t->self_prefix)) {
        if (asprintf(&subject, "%s%s", SELF_SUBJECT, key + strlen(t->self_prefix)) < 0)
            subject = NULL; /* no memory: any may have changed */
        t->told(t->context, STORE_CHANGED, subject);
        free(subject);
    } else if (begins_with(key, t->prefix)) {
        t->told(t->context, STORE_CHANGED, key + strlen(t->prefix));
    }
}

/* A message of the subscription: the keys that changed, or nil for all of them. Or the pong. */
static void tell(struct redis_tracking *t, const redisReply *reply) {
    if (reply->type == REDIS_REPLY_ERROR) /* MISCONF is one answer to PING */
        t->pong_awaited = false;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        return;
    if (is_string(reply->element[0], "pong"))
        t->pong_awaited = false;
    if (reply->elements != 3 || !is_string(reply->element[0], "message"))
        return;
    const redisReply *keys = reply->element[2];
    if (keys->type != REDIS_REPLY_ARRAY) {
        t->told(t->context, STORE_CHANGED, NULL);
        return;
    }
    for (size_t i = 0; i < keys->elements; i++)
        if (keys->element[i]->type == REDIS_REPLY_STRING)
            tell_key(t, keys->element[i]->str);
}

/* The next reply that has been read from the socket; *reply NULL when there is none. */
static int next_read(redisContext *conn, redisReply **reply, struct why *why) {
    void *next = NULL;
    int rc = redisReaderGetReply(conn->reader, &next);
    if (rc != REDIS_OK)
        why_set(why, "%s", conn->reader->errstr);
    *reply = next;
    return rc == REDIS_OK ? 0 : -1;
}

static int read_from(redisContext *conn, struct why *why) {
    if (redisBufferRead(conn) == REDIS_OK)
        return 0;
    return why_set(why, "%s", conn->errstr);
}

int redis_tracking_read(struct redis_tracking *t, struct why *why) {
    redisReply *reply;
    if (read_from(t->listening, why) != 0)
        return -1;
    do {
        if (next_read(t->listening, &reply, why) != 0)
            return -1;
        if (reply != NULL)
            tell(t, reply);
        freeReplyObject(reply);
    } while (reply != NULL);
    return 0;
}

int redis_tracking_ping(struct redis_tracking *t, int64_t deadline, struct why *why) {
    redisAppendCommand(t->listening, "PING");
    append_probe(t->tracked, t->prefix, t->master);
    t->pong_awaited = true;
    t->probe_awaited = t->master ? 2 : 1;
    if (redis_conn_flush(t->listening, deadline, why) != 0)
        return -1;
    return redis_conn_flush(t->tracked, deadline, why);
}

int redis_tracking_read_answer(struct redis_tracking *t, redisReply **other, struct why *why) {
    redisReply *reply;
    *other = NULL;
    if (read_from(t->tracked, why) != 0)
        return -1;
    do {
        if (next_read(t->tracked, &reply, why) != 0)
            return -1;
        if (reply == NULL)
            break;
        if (t->probe_awaited == 0) {
            *other = reply;
            break;
        }
        t->probe_awaited--;
        if (take_probe(reply, t->master && t->probe_awaited == 0, why) != 0)
            return -1;
    } while (true);
    return 0;
}
