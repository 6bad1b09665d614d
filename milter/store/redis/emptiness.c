/*
 * The search for any policy at all. Owns the bound of it.
 */
#include "emptiness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/store/redis/scan.h"

#define ROUND_KEYS "1000"
#define ROUNDS_MAX 100

void redis_emptiness_begin(struct redis_emptiness *census) {
    *census = (struct redis_emptiness){.cursor = "0"};
}

int redis_emptiness_ask(const struct redis_emptiness *census, redisContext *conn,
                        const char *prefix) {
    char *pattern = redis_scan_pattern(prefix, "account:*");
    if (pattern == NULL)
        return -1;
    const char *argv[] = {"SCAN", census->cursor, "MATCH", pattern, "COUNT", ROUND_KEYS};
    redisAppendCommandArgv(conn, 6, argv, NULL);
    free(pattern);
    return 0;
}

enum census redis_emptiness_take(struct redis_emptiness *census, const redisReply *reply) {
    if (!redis_scan_is_page(reply))
        return CENSUS_UNKNOWN;
    if (reply->element[1]->elements > 0)
        return CENSUS_FOUND;
    snprintf(census->cursor, sizeof census->cursor, "%s", reply->element[0]->str);
    if (strcmp(census->cursor, "0") == 0)
        return CENSUS_EMPTY;
    return ++census->rounds < ROUNDS_MAX ? CENSUS_MORE : CENSUS_UNKNOWN;
}
