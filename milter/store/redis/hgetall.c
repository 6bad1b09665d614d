/*
 * The look-up of hashes on one server. Owns the translation of HGETALL's replies into hashes; where
 * a key lives is its callers' business.
 */
#include "hgetall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/clock.h"
#include "gatepost/store/redis/errors.h"

static size_t place_of(const struct redis_hgetall *l, size_t i) {
    return l->which == NULL ? i : l->which[i];
}

static void reply_free(void *reply) {
    freeReplyObject(reply);
}

/* The fields of a reply that is a list; -1 when there is no memory. */
static int take_fields(const redisReply *reply, struct store_hash *hash) {
    size_t n = reply->elements / 2;
    if (n == 0) {
        hash->answer = STORE_ABSENT;
        return 0;
    }
    hash->fields = calloc(n, sizeof *hash->fields);
    if (hash->fields == NULL)
        return -1;
    hash->answer = STORE_FOUND;
    hash->n = n;
    for (size_t i = 0; i < n; i++) {
        const redisReply *name = reply->element[2 * i], *value = reply->element[2 * i + 1];
        hash->fields[i] = (struct store_field){name->str, value->str, name->len, value->len};
    }
    return 0;
}

/* What one look-up came to so far; what is worse is greater. */
enum outcome { LOOKUP_DONE, LOOKUP_REFUSED, LOOKUP_LATER, LOOKUP_LOGIN, LOOKUP_BROKEN };

static enum outcome take_error(struct redis_hgetall *l, size_t place, const char *error,
                               struct why *why) {
    struct why reason;
    char key[600];
    snprintf(key, sizeof key, "%s%s", l->prefix, l->subjects[place]);
    enum redis_fault fault = redis_error_judge(error, "HGETALL", key, &reason);
    if (fault == FAULT_TYPE) {
        l->hashes[place].answer = STORE_WRONG_TYPE;
        return LOOKUP_DONE;
    }
    if (l->redirects != NULL && (fault == FAULT_MOVED || fault == FAULT_ASK) &&
        redis_redirect_read(error, &l->redirects[place]) == 0)
        return LOOKUP_DONE;
    *why = reason;
    if (fault == FAULT_LOGIN) { /* the next connection logs in, perhaps with a new password */
        struct redis_server server = redis_pool_server(l->pool);
        if (server.login != NULL)
            redis_login_refused(server.login);
        return LOOKUP_LOGIN;
    }
    return fault == FAULT_LATER ? LOOKUP_LATER : LOOKUP_REFUSED;
}

/* One reply, which the hash then owns, or which is freed. */
static enum outcome take_reply(struct redis_hgetall *l, size_t place, redisReply *reply,
                               struct why *why) {
    struct store_hash *hash = &l->hashes[place];
    enum outcome outcome = LOOKUP_DONE;
    if (reply->type == REDIS_REPLY_ERROR) {
        outcome = take_error(l, place, reply->str, why);
    } else if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 2 != 0) {
        why_set(why, "HGETALL: an answer that is no list of fields and values");
        outcome = LOOKUP_REFUSED;
    } else if (take_fields(reply, hash) != 0) {
        why_set(why, "no memory");
        outcome = LOOKUP_REFUSED;
    } else {
        hash->owner = reply;
        hash->owner_free = reply_free;
        return LOOKUP_DONE;
    }
    freeReplyObject(reply);
    return outcome;
}

static void append_command(struct redis_hgetall *l, const char *subject) {
    char key[1024];
    const char *asking[] = {"ASKING"};
    size_t prefix_len = strlen(l->prefix), len = strlen(subject);
    char *long_key = prefix_len + len < sizeof key ? NULL : malloc(prefix_len + len + 1);
    char *at = long_key != NULL ? long_key : key;
    if (prefix_len + len >= sizeof key && long_key == NULL)
        return; /* no memory: the missing reply ends in store_timeout */
    memcpy(at, l->prefix, prefix_len);
    memcpy(at + prefix_len, subject, len + 1);
    const char *argv[] = {"HGETALL", at};
    const size_t lengths[] = {7, prefix_len + len};
    if (l->asking)
        redisAppendCommandArgv(l->lease.conn, 1, asking, NULL);
    redisAppendCommandArgv(l->lease.conn, 2, argv, lengths);
    free(long_key);
}

static int send_on(struct redis_hgetall *l, struct why *why) {
    for (size_t i = 0; i < l->n; i++)
        append_command(l, l->subjects[place_of(l, i)]);
    return redis_conn_flush(l->lease.conn, l->deadline, why);
}

static enum outcome read_on(struct redis_hgetall *l, struct why *why) {
    enum outcome worst = LOOKUP_DONE;
    for (size_t i = 0; i < l->n && worst < LOOKUP_LOGIN; i++) {
        struct why reason;
        redisReply *reply = redis_conn_read(l->lease.conn, l->deadline, &reason);
        if (reply != NULL && l->asking) {
            freeReplyObject(reply);
            reply = redis_conn_read(l->lease.conn, l->deadline, &reason);
        }
        enum outcome outcome =
            reply == NULL ? LOOKUP_BROKEN : take_reply(l, place_of(l, i), reply, &reason);
        if (outcome > worst && worst == LOOKUP_DONE) /* the first of them says what is wrong */
            why_set(why, "%s", reason.text);
        worst = outcome > worst ? outcome : worst;
    }
    return worst;
}

/* Not what is LOOKUP_BROKEN: that is replace_broken()'s. */
static void give(struct redis_hgetall *l, enum outcome outcome, const char *why) {
    static const enum redis_service services[] = {[LOOKUP_DONE] = SERVICE_ANSWERED,
                                                  [LOOKUP_REFUSED] = SERVICE_ANSWERED,
                                                  [LOOKUP_LATER] = SERVICE_LATER,
                                                  [LOOKUP_LOGIN] = SERVICE_BROKEN};
    redis_pool_give(l->pool, &l->lease, services[outcome], why);
}

/* The server may have closed that connection and no other: once, a fresh one takes its place. */
static void replace_broken(struct redis_hgetall *l, struct why *why) {
    bool retry = !l->retried && clock_now_ms() < l->deadline;
    l->retried = true;
    redis_pool_give(l->pool, &l->lease, retry ? SERVICE_CUT : SERVICE_BROKEN, why->text);
    l->sent = retry && redis_pool_take(l->pool, true, l->deadline, &l->lease, why) == 0;
}

static void send_all(struct redis_hgetall *l, struct why *why) {
    while (l->sent && send_on(l, why) != 0)
        replace_broken(l, why);
}

void redis_hgetall_send(struct redis_hgetall *l, struct why *why) {
    l->retried = false;
    l->sent = redis_pool_take(l->pool, false, l->deadline, &l->lease, why) == 0;
    send_all(l, why);
}

static void forget_answers(struct redis_hgetall *l) {
    for (size_t i = 0; i < l->n; i++) {
        store_hash_clear(&l->hashes[place_of(l, i)]);
        if (l->redirects != NULL)
            l->redirects[place_of(l, i)].kind = REDIRECT_NONE;
    }
}

int redis_hgetall_read(struct redis_hgetall *l, struct why *why) {
    enum outcome outcome = LOOKUP_BROKEN;
    while (l->sent && (outcome = read_on(l, why)) == LOOKUP_BROKEN) {
        forget_answers(l);
        replace_broken(l, why);
        send_all(l, why);
    }
    if (!l->sent)
        return -1;
    if (outcome == LOOKUP_LOGIN)
        forget_answers(l);
    give(l, outcome, why->text);
    return outcome == LOOKUP_DONE ? 0 : -1;
}

int redis_hgetall_all(struct redis_pool *pool, const char *prefix, const char *const *subjects,
                      size_t n, struct store_hash *hashes, int64_t deadline, struct why *why) {
    struct redis_hgetall lookup = {.pool = pool,
                                   .prefix = prefix,
                                   .subjects = subjects,
                                   .hashes = hashes,
                                   .n = n,
                                   .deadline = deadline};
    redis_hgetall_send(&lookup, why);
    return redis_hgetall_read(&lookup, why);
}
