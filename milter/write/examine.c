/*
 * What may make a store lose policy, or has, and whether it reports changes. Owns the complaints
 * about a Redis server and a cluster.
 */
#include "examine.h"

#include <stdio.h>
#include <string.h>

#include "gatepost/store/cluster/slot.h"
#include "gatepost/store/redis/watch.h"

/* A master with slots for so many subjects has one at least, but for once in 10^8 times. */
#define SURELY_SOME 20

/* The value of "NAME:" in the answer to INFO, into `out`. */
static const char *info_value(const char *info, const char *name, char *out, size_t out_size) {
    const char *at = strstr(info, name);
    out[0] = '\0';
    if (at == NULL || at[strlen(name)] != ':')
        return out;
    at += strlen(name) + 1;
    snprintf(out, out_size, "%.*s", (int)strcspn(at, "\r\n"), at);
    return out;
}

static int look_at_eviction(struct redis_client *talk, const char *name, store_take_complaint *take,
                            void *context, struct why *why) {
    struct redis_command c = {0};
    char policy[40], limit[40], complaint[600];
    redis_command_begin(&c, "INFO");
    redis_command_add(&c, "memory");
    redisReply *reply = redis_client_ask(talk, &c, why);
    redis_command_clear(&c);
    if (reply == NULL)
        return -1;
    if (reply->str != NULL) {
        info_value(reply->str, "\nmaxmemory_policy", policy, sizeof policy);
        info_value(reply->str, "\nmaxmemory", limit, sizeof limit);
        /* volatile-*: only keys that expire, and those of policy do not */
        if (policy[0] != '\0' && strcmp(policy, "noeviction") != 0 &&
            strncmp(policy, "volatile-", strlen("volatile-")) != 0) {
            snprintf(complaint, sizeof complaint,
                     "%s evicts keys when its memory is full (maxmemory-policy %s%s): set "
                     "maxmemory-policy noeviction, a policy that is evicted is no policy",
                     name, policy, strcmp(limit, "0") == 0 ? ", no maxmemory yet" : "");
            take(context, "eviction", complaint);
        }
    }
    freeReplyObject(reply);
    return 0;
}

/* Does it tell the filter of changes? */
static int look_at_changes(struct redis_client *talk, const char *name, store_take_complaint *take,
                           void *context, struct why *why) {
    char complaint[700];
    int reports = redis_watch_check(talk->pool, talk->prefix, talk->timeout, why);
    if (reports == 0) {
        snprintf(complaint, sizeof complaint,
                 "%s does not report changes (%.400s): the filter asks it for each message, and "
                 "reads networks again only every %d seconds",
                 name, why->text, STORE_BLIND_INTERVAL / 1000);
        take(context, "blind", complaint);
    }
    return reports < 0 ? -1 : 0;
}

int examine_redis(struct redis_client *talk, const char *name, store_take_complaint *take,
                  void *context, struct why *why) {
    struct why reason;
    int rc = look_at_eviction(talk, name, take, context, why);
    if (look_at_changes(talk, name, take, context, &reason) == 0)
        return rc;
    return rc != 0 ? rc : why_set(why, "%s", reason.text);
}

void examine_self(redisReply *reply, const struct why *why, store_take_complaint *take,
                  void *context) {
    char complaint[700];
    if (reply == NULL && strstr(why->text, "NOPERM") != NULL) {
        snprintf(complaint, sizeof complaint,
                 "what users have set themselves cannot be read, so that no policy can be had by "
                 "this Redis user: %.500s",
                 why->text);
        take(context, "self-unreadable", complaint);
    }
    freeReplyObject(reply);
}

/* ---- a cluster ---- */

/* With a hash tag in the prefix everything is in one slot: other masters have nothing. */
static bool in_one_slot(const struct cluster_nodes *cluster) {
    unsigned one, other;
    return cluster_nodes_slot(cluster, "account:a", &one) != 0 ||
           cluster_nodes_slot(cluster, "account:b", &other) != 0 || one == other;
}

static void look_for_loss(const struct cluster_nodes *cluster, store_take_complaint *take,
                          void *context) {
    char complaint[600];
    size_t all = 0;
    for (const struct redis_member *m = cluster->members; m != NULL; m = m->next)
        all += m->walked ? m->found : 0;
    for (const struct redis_member *m = cluster->members; m != NULL; m = m->next) {
        if (m->slots == 0 || m->found > 0 || all * m->slots / REDIS_SLOTS < SURELY_SOME)
            continue;
        snprintf(complaint, sizeof complaint,
                 "%s has no policy, but %zu of %d slots: did it lose its data? The others have %zu "
                 "subjects",
                 m->name, m->slots, REDIS_SLOTS, all);
        take(context, "empty-node", complaint);
    }
}

int examine_cluster(struct cluster_nodes *cluster, store_take_complaint *take, void *context,
                    struct why *why) {
    struct why reason;
    int rc = 0;
    for (struct redis_member *m = cluster->members; m != NULL; m = m->next) {
        if (m->slots == 0 || examine_redis(&m->talk, m->name, take, context, &reason) == 0)
            continue;
        why_set(why, "%s: %s", m->name, reason.text);
        rc = -1;
    }
    if (!in_one_slot(cluster))
        look_for_loss(cluster, take, context);
    return rc;
}
