/*
 * The look-up of hashes on one server. Owns the translation of HGETALL's replies into hashes; where
 * a key lives is its callers' business.
 */
#include "hgetall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/clock.h"
#include "gatepost/core/store_key.h"
#include "gatepost/store/redis/errors.h"

static size_t place_of(const struct redis_hgetall *l, size_t i) {
    return l->which == NULL ? i : l->which[i];
}

static void reply_free(void *reply) {
    freeReplyObject(reply);
}

/* A reply has more octets than the names and values in it: "$", their length, the ends of lines. */
#define OCTETS_AROUND 16
static const struct redis_reply_bound bound = {.elements = 2 * STORE_FIELDS_MAX,
                                               .octets = STORE_OCTETS_MAX +
                                                         2 * STORE_FIELDS_MAX * OCTETS_AROUND};

static bool is_too_large(const redisReply *reply) {
    size_t octets = 0;
    for (size_t i = 0; i < reply->elements; i++)
        octets += reply->element[i]->len;
    return store_is_too_large(reply->elements / 2, octets);
}

/* The fields of a reply that is a list of them; -1 when there is no memory. */
static int take_fields(redisReply *reply, struct store_hash *hash) {
    size_t n = reply->elements / 2;
    if (n == 0 || is_too_large(reply)) {
        hash->answer = n == 0 ? STORE_ABSENT : STORE_TOO_LARGE;
        freeReplyObject(reply);
        return 0;
    }
    struct store_field *fields = calloc(n, sizeof *fields);
    if (fields == NULL)
        return -1;
    for (size_t i = 0; i < n; i++) {
        const redisReply *name = reply->element[2 * i], *value = reply->element[2 * i + 1];
        fields[i] = (struct store_field){name->str, value->str, name->len, value->len};
    }
    *hash = (struct store_hash){STORE_FOUND, fields, n, reply, reply_free};
    return 0;
}

/* What one look-up came to so far; what is worse is greater. */
enum outcome {
    LOOKUP_DONE,
    LOOKUP_REFUSED,
    LOOKUP_LATER,
    LOOKUP_SKIPPED, /* what was too large is still on the connection */
    LOOKUP_SLOW,    /* the answer had begun, and was not whole at the deadline */
    LOOKUP_LOGIN,
    LOOKUP_BROKEN
};

/* The words of the command, for errors. */
static const char *command_of(const struct redis_hgetall *l) {
    return l->sizes ? "HLEN" : "HGETALL";
}

static void name_key(const struct redis_hgetall *l, size_t place, char *key, size_t size) {
    store_key_put(key, size, l->prefix, l->subjects[place]);
}

static enum outcome take_error(struct redis_hgetall *l, size_t place, const char *error,
                               struct why *why) {
    struct why reason;
    char key[600];
    name_key(l, place, key, sizeof key);
    enum redis_fault fault = redis_error_judge(error, command_of(l), key, &reason);
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

static void take_size(const redisReply *reply, struct store_hash *hash) {
    hash->answer = reply->integer <= 0                 ? STORE_ABSENT
                   : reply->integer > STORE_FIELDS_MAX ? STORE_TOO_LARGE
                                                       : STORE_FOUND;
}

/* One reply, which the hash then owns, or which is freed. */
static enum outcome take_reply(struct redis_hgetall *l, size_t place, redisReply *reply,
                               struct why *why) {
    struct store_hash *hash = &l->hashes[place];
    enum outcome outcome = LOOKUP_DONE;
    char key[600];
    if (reply->type == REDIS_REPLY_ERROR) {
        outcome = take_error(l, place, reply->str, why);
    } else if (l->sizes && reply->type == REDIS_REPLY_INTEGER) {
        take_size(reply, hash);
    } else if (l->sizes || !redis_reply_is_fields(reply)) {
        name_key(l, place, key, sizeof key);
        why_set(why, "%s %s: malformed answer: it is no %s", command_of(l), key,
                l->sizes ? "number" : "list of fields and values");
        outcome = LOOKUP_REFUSED;
    } else if (take_fields(reply, hash) != 0) {
        why_set(why, "no memory");
        outcome = LOOKUP_REFUSED;
    } else {
        return LOOKUP_DONE;
    }
    freeReplyObject(reply);
    return outcome;
}

static void append_command(struct redis_hgetall *l, const char *subject) {
    char key[1024];
    const char *asking[] = {"ASKING"};
    size_t len = (size_t)store_key_put(key, sizeof key, l->prefix, subject);
    char *long_key = len < sizeof key ? NULL : store_key_make(l->prefix, subject);
    if (len >= sizeof key && long_key == NULL)
        return; /* no memory: the missing reply ends in store_timeout */
    const char *argv[] = {command_of(l), long_key != NULL ? long_key : key};
    const size_t lengths[] = {strlen(argv[0]), len};
    if (l->asking)
        redisAppendCommandArgv(l->lease.conn, 1, asking, NULL);
    redisAppendCommandArgv(l->lease.conn, 2, argv, lengths);
    free(long_key);
}

static int send_on(struct redis_hgetall *l, struct why *why) {
    for (size_t i = l->first; i < l->n; i++)
        append_command(l, l->subjects[place_of(l, i)]);
    return redis_conn_flush(l->lease.conn, l->deadline, why);
}

/* The reply for one place, taken. */
static enum outcome read_one(struct redis_hgetall *l, size_t place, struct why *why) {
    redisReply *reply;
    struct why reason;
    char key[600];
    enum redis_reading reading =
        redis_conn_read_bounded(l->lease.conn, &bound, l->deadline, &reply, why);
    if (reading == READING_WHOLE && l->asking) {
        freeReplyObject(reply);
        reading = redis_conn_read_bounded(l->lease.conn, &bound, l->deadline, &reply, why);
    }
    switch (reading) {
    case READING_WHOLE:
        if (!l->sizes) /* a server can have those at hand and nothing else */
            redis_pool_report_key(l->pool, true, "", l->lease.began, "");
        return take_reply(l, place, reply, why);
    case READING_TOO_LARGE:
        l->hashes[place].answer = STORE_TOO_LARGE;
        return LOOKUP_SKIPPED;
    case READING_LATE:
        name_key(l, place, key, sizeof key);
        reason = *why;
        why_set(why, "%s %s: %s, though the answer had begun", command_of(l), key, reason.text);
        redis_pool_report_key(l->pool, false, key, l->lease.began, why->text);
        return LOOKUP_SLOW;
    default:
        return LOOKUP_BROKEN;
    }
}

/* Of what is refused the first says what is wrong, in `why`; *worst is that so far. */
static enum outcome read_on(struct redis_hgetall *l, enum outcome *worst, struct why *why) {
    for (size_t i = l->first; i < l->n; i++) {
        struct why reason;
        enum outcome outcome = read_one(l, place_of(l, i), &reason);
        if (outcome == LOOKUP_SKIPPED) {
            l->first = i + 1;
            return outcome;
        }
        if (outcome > *worst && *worst == LOOKUP_DONE)
            why_set(why, "%s", reason.text);
        *worst = outcome > *worst ? outcome : *worst;
        if (outcome > LOOKUP_SKIPPED)
            break;
    }
    return *worst;
}

/* Not what is LOOKUP_BROKEN: that is replace_broken()'s. */
static void give(struct redis_hgetall *l, enum outcome outcome, const char *why) {
    static const enum redis_service services[] = {
        [LOOKUP_DONE] = SERVICE_ANSWERED, [LOOKUP_REFUSED] = SERVICE_ANSWERED,
        [LOOKUP_LATER] = SERVICE_LATER,   [LOOKUP_SKIPPED] = SERVICE_DROPPED,
        [LOOKUP_SLOW] = SERVICE_DROPPED,  [LOOKUP_LOGIN] = SERVICE_BROKEN};
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
    l->first = 0;
    l->sent = redis_pool_take(l->pool, false, l->deadline, &l->lease, why) == 0;
    send_all(l, why);
}

static void forget_answers(struct redis_hgetall *l) {
    for (size_t i = l->first; i < l->n; i++) {
        store_hash_clear(&l->hashes[place_of(l, i)]);
        if (l->redirects != NULL)
            l->redirects[place_of(l, i)].kind = REDIRECT_NONE;
    }
}

/*
 * One key was too large: what follows on this connection is not worth reading. Those after it are
 * asked for on another one.
 */
static void skip_rest(struct redis_hgetall *l, struct why *why) {
    struct why reason;
    give(l, LOOKUP_SKIPPED, "");
    l->sent =
        l->first < l->n && redis_pool_take(l->pool, false, l->deadline, &l->lease, &reason) == 0;
    if (l->first < l->n && !l->sent)
        *why = reason;
    send_all(l, why);
}

int redis_hgetall_read(struct redis_hgetall *l, struct why *why) {
    enum outcome outcome = LOOKUP_BROKEN, worst = LOOKUP_DONE;
    while (l->sent) {
        enum outcome before = worst;
        outcome = read_on(l, &worst, why);
        if (outcome == LOOKUP_SKIPPED) {
            skip_rest(l, why);
        } else if (outcome == LOOKUP_BROKEN) {
            worst = before;
            forget_answers(l);
            replace_broken(l, why);
            send_all(l, why);
        } else {
            break;
        }
    }
    if (!l->sent)
        return l->first == l->n && worst == LOOKUP_DONE ? 0 : -1;
    if (outcome == LOOKUP_LOGIN)
        forget_answers(l);
    give(l, outcome, why->text);
    return outcome == LOOKUP_DONE ? 0 : -1;
}
