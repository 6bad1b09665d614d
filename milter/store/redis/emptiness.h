/*
 * Is there any policy at all on a server? Found out by SCAN, in bounded pieces, so that nothing
 * else on the connection or the server waits for it. Pure but for the queueing of commands.
 */
#ifndef GATEPOST_STORE_REDIS_EMPTINESS_H
#define GATEPOST_STORE_REDIS_EMPTINESS_H

#include <hiredis/hiredis.h>

struct redis_emptiness {
    char cursor[32];
    int rounds;
};

enum census { CENSUS_MORE, CENSUS_FOUND, CENSUS_EMPTY, CENSUS_UNKNOWN };

void redis_emptiness_begin(struct redis_emptiness *census);

/*
 * Queues the next question about keys that begin with `prefix` "account:". Returns 0, or -1 when
 * there is no memory: nothing is asked then.
 */
int redis_emptiness_ask(const struct redis_emptiness *census, redisContext *conn,
                        const char *prefix);

/*
 * Takes the answer. CENSUS_MORE: ask again. CENSUS_UNKNOWN: SCAN is refused, or so many other keys
 * are there that the search was given up.
 */
enum census redis_emptiness_take(struct redis_emptiness *census, const redisReply *reply);

#endif
