/*
 * Keys beside the policy. Owns how one is named and which server has it; what stands in it is the
 * caller's.
 */
#include "beside.h"

#include <stdio.h>
#include <stdlib.h>

int beside_open(struct beside *beside, const struct store_settings *settings, const char *name,
                struct why *why) {
    struct store_settings own = *settings;
    struct store_url url;
    *beside = (struct beside){.in_cluster = false};
    if (store_url_parse(settings->url, &url, why) != 0)
        return -1;
    if (url.kind == STORE_FILE)
        return why_set(why, "a policy file has none of these: it needs Redis");
    beside->prefix = key_prefix_beside(settings->key_prefix, name);
    if (beside->prefix == NULL)
        return why_set(why, "no memory");
    own.key_prefix = beside->prefix;
    beside->in_cluster = url.kind == STORE_CLUSTER;
    int rc = beside->in_cluster ? cluster_nodes_init(&beside->cluster, &own, &url, why)
                                : redis_client_init(&beside->client, &own, &url, why);
    if (rc != 0)
        beside_clear(beside);
    return rc;
}

void beside_clear(struct beside *beside) {
    if (beside->in_cluster)
        cluster_nodes_clear(&beside->cluster);
    else
        redis_client_clear(&beside->client);
    free(beside->prefix);
}

void beside_follow(struct beside *beside) {
    if (!beside->in_cluster)
        redis_client_follow(&beside->client);
}

/* Asks the server that has the key of an account; NULL with the reason. */
static redisReply *ask(struct beside *beside, const char *account,
                       const struct redis_command *command, struct why *why) {
    struct cluster_route route = {0};
    if (!beside->in_cluster) {
        redisReply *reply = redis_client_ask(&beside->client, command, why);
        /* the connection may have broken since the last question, hours ago */
        return reply != NULL || beside->client.conn != NULL
                   ? reply
                   : redis_client_ask(&beside->client, command, why);
    }
    if (cluster_nodes_slot(&beside->cluster, account, &route.slot) != 0) {
        why_set(why, "no memory");
        return NULL;
    }
    return cluster_nodes_ask(&beside->cluster, &route, command, why);
}

redisReply *beside_ask(struct beside *beside, const char *account, const char *const *words,
                       struct why *why) {
    struct redis_command command = {0};
    char *key = NULL;
    if (asprintf(&key, "%s%s", beside->prefix, account) < 0) {
        why_set(why, "no memory");
        return NULL;
    }
    redis_command_begin(&command, words[0]);
    redis_command_add(&command, key);
    for (size_t i = 1; words[i] != NULL; i++)
        redis_command_add(&command, words[i]);
    redisReply *reply = ask(beside, account, &command, why);
    redis_command_clear(&command);
    free(key);
    return reply;
}

int beside_run(struct beside *beside, const char *account, const char *const *words,
               struct why *why) {
    redisReply *reply = beside_ask(beside, account, words, why);
    int rc = reply == NULL ? -1 : 0;
    freeReplyObject(reply);
    return rc;
}

redisReply *beside_read(struct beside *beside, const char *account, struct why *why) {
    const char *const words[4] = {"HGETALL"};
    redisReply *reply = beside_ask(beside, account, words, why);
    bool flat = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements % 2 == 0;
    for (size_t i = 0; flat && i < reply->elements; i++)
        flat = reply->element[i] != NULL && reply->element[i]->type == REDIS_REPLY_STRING;
    if (reply == NULL || flat)
        return reply;
    why_set(why, "HGETALL: an answer that is no hash");
    freeReplyObject(reply);
    return NULL;
}
