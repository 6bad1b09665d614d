/*
 * SCAN. Owns the escaping of its patterns and the form of its answers.
 */
#include "gatepost/store/redis/scan.h"

#include <stdlib.h>
#include <string.h>

char *redis_scan_pattern(const char *prefix, const char *rest) {
    char *pattern = malloc(strlen(prefix) * 2 + strlen(rest) + 1), *to = pattern;
    if (pattern == NULL)
        return NULL;
    for (; *prefix != '\0'; prefix++) {
        if (strchr("*?[]\\^-", *prefix) != NULL)
            *to++ = '\\';
        *to++ = *prefix;
    }
    strcpy(to, rest);
    return pattern;
}

bool redis_scan_is_page(const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_ARRAY)
        return false;
    const redisReply *list = reply->element[1];
    for (size_t i = 0; i < list->elements; i++)
        if (list->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}
