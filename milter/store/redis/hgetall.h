/*
 * The look-up of several hashes on one server, in one round trip.
 *
 * In two halves, so that several servers can be asked at the same time: first all are sent, then
 * all are read. By one thread.
 */
#ifndef GATEPOST_STORE_REDIS_HGETALL_H
#define GATEPOST_STORE_REDIS_HGETALL_H

#include "gatepost/core/why.h"
#include "gatepost/store/redis/errors.h"
#include "gatepost/store/redis/pool.h"
#include "gatepost/store/store.h"

struct redis_hgetall {
    struct redis_pool *pool;
    const char *prefix;
    const char *const *subjects; /* of the store_get() */
    struct store_hash *hashes;   /* of the store_get() */
    const size_t *which;         /* the places of those asked for here; NULL: the first n */
    size_t n;
    bool asking; /* with ASKING before each */
    bool sizes;  /* HLEN instead: what is found has no fields; above the bound it is too large */
    struct redis_redirect *redirects; /* by place; NULL: a redirection is an error */
    int64_t deadline;
    struct redis_lease lease; /* private, as are the next */
    bool sent;                /* a connection is lent, and what was asked for is sent on it */
    bool retried;
    size_t first; /* of the `n`: those before it are answered for good */
};

/*
 * Fills in everything down to `deadline` before. Sends; a failure is reported by the second half,
 * which must follow.
 */
void redis_hgetall_send(struct redis_hgetall *lookup, struct why *why);

/*
 * Reads. A connection that breaks is replaced by a fresh one, once, within the same deadline.
 * Returns 0 when all are answered or redirected; or -1 when some are STORE_UNANSWERED, with the
 * reason in `why`, which was also given to the first half.
 */
int redis_hgetall_read(struct redis_hgetall *lookup, struct why *why);

#endif
