/*
 * Redis Sentinel: which server is the master now. Keeps a pool at it.
 */
#ifndef GATEPOST_STORE_REDIS_SENTINEL_H
#define GATEPOST_STORE_REDIS_SENTINEL_H

#include "gatepost/core/store_url.h"
#include "gatepost/core/why.h"
#include "gatepost/store/redis/pool.h"
#include "gatepost/store/store.h"

struct redis_sentinel;

/*
 * The Sentinels of a redis+sentinel: or rediss+sentinel: URL, for a pool, which must outlive this,
 * as must login and TLS (NULL: without); `store` names the store in the log. `timeout` is the
 * milliseconds for each answer. A Sentinel that wants a login is given that of the servers. NULL:
 * no memory.
 */
struct redis_sentinel *redis_sentinel_new(const struct store_url *url, const char *store,
                                          struct redis_login *login, struct redis_tls *tls,
                                          struct redis_pool *pool, int64_t timeout);
void redis_sentinel_free(struct redis_sentinel *sentinel);

/*
 * Before the pool is asked: is its server known? While nobody follows, the Sentinels are asked
 * here, until the deadline. Returns 0, or -1 with the reason. Any thread.
 */
int redis_sentinel_need(struct redis_sentinel *sentinel, int64_t deadline, struct why *why);

/*
 * From now on a thread follows the Sentinels: when they name another master the pool is moved to it
 * and `moved` called, on that thread; it must not block. Returns 0, or -1 when there is no thread.
 */
int redis_sentinel_follow(struct redis_sentinel *sentinel, void (*moved)(void *context),
                          void *context);
/* Ends that: when this returns, `moved` runs no more. */
void redis_sentinel_unfollow(struct redis_sentinel *sentinel);

#endif
