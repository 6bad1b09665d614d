/*
 * The walk over the names of one server. Owns the rule that only names with our prefix are passed
 * on, without it, and that the history's name is not.
 */
#include "redis_scan.h"
#include "implement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/store/redis/scan.h"

/* One page of names. Returns as redis_scan(). */
static int take_page(const char *prefix, const redisReply *names, store_take_subject *take,
                     void *context) {
    size_t skip = strlen(prefix);
    for (size_t i = 0; i < names->elements; i++) {
        const redisReply *key = names->element[i];
        if (key->len < skip || (key->len - skip == 7 && memcmp(key->str + skip, "history", 7) == 0))
            continue;
        if (take(context, key->str + skip, key->len - skip) != 0)
            return -1;
    }
    return 0;
}

int redis_scan(struct redis_client *talk, store_take_subject *take, void *context,
               struct why *why) {
    struct redis_command c = {0};
    char cursor[32] = "0", *pattern = redis_scan_pattern(talk->prefix, "*");
    int rc = pattern == NULL ? -1 : 0;
    if (rc != 0)
        why_set(why, "no memory");
    do {
        redis_command_begin(&c, "SCAN");
        redis_command_add(&c, cursor);
        redis_command_add(&c, "MATCH");
        redis_command_add(&c, pattern == NULL ? "" : pattern);
        redis_command_add(&c, "COUNT");
        redis_command_add(&c, "1000");
        redisReply *reply = rc == 0 ? redis_client_ask(talk, &c, why) : NULL;
        rc = reply == NULL ? -1 : 0;
        if (rc == 0 && !redis_scan_is_page(reply)) {
            why_set(why, "SCAN: an answer that is no list of keys");
            rc = -1;
        }
        if (rc == 0) {
            snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
            rc = take_page(talk->prefix, reply->element[1], take, context);
            if (rc != 0)
                why_set(why, "no memory");
        }
        if (reply != NULL)
            freeReplyObject(reply);
    } while (rc == 0 && strcmp(cursor, "0") != 0);
    redis_command_clear(&c);
    free(pattern);
    return rc;
}
