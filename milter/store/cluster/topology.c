/*
 * The topology of a cluster as one node sees it. Owns the reading of CLUSTER SLOTS and
 * which node's view is taken; what follows from it is its callers' business.
 */
#include "topology.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/clock.h"
#include "gatepost/store/redis/errors.h"

/* After this an older epoch is believed again: the cluster has been made anew. */
#define EPOCH_STAY 10000

void redis_topology_free(struct redis_topology *topology) {
    if (topology != NULL)
        free(topology->masters);
    free(topology);
}

/* The place of a master, which is added when it is new; -1 when there is no memory. */
static int place_of(struct redis_topology *t, const char *host, int port) {
    for (size_t i = 0; i < t->n; i++)
        if (t->masters[i].port == port && strcmp(t->masters[i].host, host) == 0)
            return (int)i;
    struct redis_topology_master *grown = realloc(t->masters, (t->n + 1) * sizeof *grown);
    if (grown == NULL || t->n == TOPOLOGY_NOBODY)
        return -1;
    t->masters = grown;
    snprintf(grown[t->n].host, sizeof grown[t->n].host, "%s", host);
    grown[t->n].port = port;
    return (int)t->n++;
}

/* [first, last, [host, port, id, ...], replica...]; a missing host is that of the node. */
static int read_range(struct redis_topology *t, const redisReply *range, const char *own_host) {
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3 ||
        range->element[0]->type != REDIS_REPLY_INTEGER ||
        range->element[1]->type != REDIS_REPLY_INTEGER)
        return -1;
    long long first = range->element[0]->integer, last = range->element[1]->integer;
    const redisReply *master = range->element[2];
    if (first < 0 || last < first || last >= REDIS_SLOTS || master->type != REDIS_REPLY_ARRAY ||
        master->elements < 2 || master->element[1]->type != REDIS_REPLY_INTEGER)
        return -1;
    const redisReply *host = master->element[0];
    bool told = host->type == REDIS_REPLY_STRING && host->len > 0 && strcmp(host->str, "?") != 0;
    int place = place_of(t, told ? host->str : own_host, (int)master->element[1]->integer);
    if (place < 0)
        return -1;
    for (long long slot = first; slot <= last; slot++)
        t->slots[slot] = (uint16_t)place;
    return 0;
}

static int read_slots(struct redis_topology *t, const redisReply *reply, const char *host,
                      struct why *why) {
    bool good = reply->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; good && i < reply->elements; i++)
        good = read_range(t, reply->element[i], host) == 0;
    if (good && t->n > 0)
        return 0;
    return why_set(why, good ? "no node serves any slot" : "CLUSTER SLOTS: an unknown answer");
}

static int read_info(struct redis_topology *t, const redisReply *reply) {
    static const char label[] = "cluster_current_epoch:";
    const char *at = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, label) : NULL;
    t->epoch = at == NULL ? 0 : strtoll(at + sizeof label - 1, NULL, 10);
    return 0;
}

static redisReply *take(redisContext *conn, const char *command, int64_t deadline,
                        struct why *why) {
    redisReply *reply = redis_conn_read(conn, deadline, why);
    if (reply == NULL || reply->type != REDIS_REPLY_ERROR)
        return reply;
    if (strstr(reply->str, "cluster support disabled") != NULL)
        why_set(why, "it is not part of a cluster: use redis://");
    else
        redis_error_judge(reply->str, command, NULL, why);
    freeReplyObject(reply);
    return NULL;
}

int redis_topology_ask(redisContext *conn, const char *host, int64_t deadline,
                       struct redis_topology **out, struct why *why) {
    redisAppendCommand(conn, "CLUSTER INFO");
    redisAppendCommand(conn, "CLUSTER SLOTS");
    if (redis_conn_flush(conn, deadline, why) != 0)
        return -1;
    struct redis_topology *t = calloc(1, sizeof *t);
    if (t == NULL)
        return why_set(why, "no memory");
    memset(t->slots, 0xff, sizeof t->slots);
    redisReply *info = take(conn, "CLUSTER INFO", deadline, why);
    redisReply *slots = info == NULL ? NULL : take(conn, "CLUSTER SLOTS", deadline, why);
    int rc = slots == NULL ? -1 : read_info(t, info);
    if (rc == 0)
        rc = read_slots(t, slots, host, why);
    freeReplyObject(info);
    freeReplyObject(slots);
    if (rc == 0)
        *out = t;
    else
        redis_topology_free(t);
    return rc;
}

/* Is it at least as new as what was taken last? Then it is taken. */
static bool take_view(struct redis_survey *survey, const struct redis_topology *t) {
    int64_t now = clock_now_ms();
    if (t->epoch < survey->epoch && now <= survey->epoch_seen + EPOCH_STAY)
        return false;
    survey->epoch = t->epoch;
    survey->epoch_seen = now;
    return true;
}

/* How long the next of `n` may take: one that hangs shall leave some for the others. */
static int64_t limit_of(size_t n, int64_t timeout, int64_t deadline) {
    int64_t now = clock_now_ms(), share = (deadline - now) / (int64_t)n;
    share = share > timeout / 4 ? share : timeout / 4;
    share = share < timeout ? share : timeout;
    return share < deadline - now ? now + share : deadline;
}

int redis_survey(struct redis_survey *survey, const struct redis_server *servers, size_t n,
                 int64_t timeout, int64_t deadline, struct redis_topology **out, struct why *why) {
    why_set(why, "no node answers");
    size_t first = survey->turn++;
    for (size_t i = 0; i < n; i++) {
        const struct redis_server *server = &servers[(first + i) % n];
        char name[REDIS_NAME_SIZE];
        struct why reason;
        int64_t limit = limit_of(n - i, timeout, deadline);
        redisContext *conn = redis_conn_open(server, limit, &reason);
        bool asked =
            conn != NULL && redis_topology_ask(conn, server->host, limit, out, &reason) == 0;
        if (conn != NULL)
            redisFree(conn);
        if (asked && take_view(survey, *out))
            return 0;
        if (asked)
            redis_topology_free(*out);
        else
            why_set(why, "%s: %s", redis_server_name(server, name), reason.text);
    }
    return -1;
}
