/*
 * A walk over one hash of any size, in pieces.
 */
#ifndef GATEPOST_STORE_REDIS_HSCAN_H
#define GATEPOST_STORE_REDIS_HSCAN_H

#include "gatepost/core/why.h"
#include "gatepost/store/redis/errors.h"
#include "gatepost/store/redis/pool.h"
#include "gatepost/store/store.h"

struct redis_walk_settings {
    const char *prefix, *subject;
    int64_t timeout; /* milliseconds for each piece, and for connecting */
    bool asking;     /* begins with ASKING */
    store_take_field *take;
    void *context;
};

/*
 * Walks over the hash of a subject as store_walk() does, on a connection of its own: the pool's are
 * for messages. When the answer is a cluster's redirection it is copied to `redirected` (NULL: it
 * is an error like others), and -1 returned.
 */
int redis_hscan(struct redis_pool *pool, const struct redis_walk_settings *settings,
                struct redis_redirect *redirected, struct why *why);

#endif
