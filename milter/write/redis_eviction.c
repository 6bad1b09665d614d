/*
 * The settings by which a Redis server loses keys. Owns the reading of INFO for them.
 */
#include "redis_eviction.h"

#include <stdio.h>
#include <string.h>

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

int redis_eviction(struct redis_client *talk, const char *name, store_take_complaint *take,
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
        if (policy[0] != '\0' && strcmp(policy, "noeviction") != 0) {
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
