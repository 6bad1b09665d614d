/*
 * The search for any policy at all. Owns the bound of it.
 */
#include "emptiness.h"

#include <stdio.h>
#include <string.h>

#define ROUND_KEYS "1000"
#define ROUNDS_MAX 100

void redis_emptiness_begin(struct redis_emptiness *census) {
    *census = (struct redis_emptiness){.cursor = "0"};
}

void redis_emptiness_ask(const struct redis_emptiness *census, redisContext *conn,
                         const char *prefix) {
    char pattern[600];
    size_t n = 0;
    for (; *prefix != '\0' && n < sizeof pattern - 16; prefix++) {
        if (strchr("*?[]^-\\", *prefix) != NULL)
            pattern[n++] = '\\';
        pattern[n++] = *prefix;
    }
    strcpy(pattern + n, "account:*");
    const char *argv[] = {"SCAN", census->cursor, "MATCH", pattern, "COUNT", ROUND_KEYS};
    redisAppendCommandArgv(conn, 6, argv, NULL);
}

enum census redis_emptiness_take(struct redis_emptiness *census, const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_ARRAY)
        return CENSUS_UNKNOWN;
    if (reply->element[1]->elements > 0)
        return CENSUS_FOUND;
    snprintf(census->cursor, sizeof census->cursor, "%s", reply->element[0]->str);
    if (strcmp(census->cursor, "0") == 0)
        return CENSUS_EMPTY;
    return ++census->rounds < ROUNDS_MAX ? CENSUS_MORE : CENSUS_UNKNOWN;
}
