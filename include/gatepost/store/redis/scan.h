/*
 * What all who walk by SCAN or HSCAN need. Pure.
 */
#ifndef GATEPOST_STORE_REDIS_SCAN_H
#define GATEPOST_STORE_REDIS_SCAN_H

#include <stdbool.h>

#include <hiredis/hiredis.h>

/*
 * A pattern for MATCH that finds the keys that begin with `prefix`, taken literally, followed by
 * `rest`, which is a pattern itself. To be freed; NULL when there is no memory.
 */
char *redis_scan_pattern(const char *prefix, const char *rest);

/* Is it a page: a cursor, and a list of texts? */
bool redis_scan_is_page(const redisReply *reply);

#endif
