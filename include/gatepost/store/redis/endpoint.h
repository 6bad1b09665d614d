/*
 * The one server that a redis:, rediss:, redis+unix:, redis+sentinel: or rediss+sentinel: URL
 * names, with what it takes to reach it.
 */
#ifndef GATEPOST_STORE_REDIS_SERVER_H
#define GATEPOST_STORE_REDIS_SERVER_H

#include "gatepost/core/store_url.h"
#include "gatepost/core/why.h"
#include "gatepost/store/redis/sentinel.h"

struct redis_endpoint {
    struct redis_login *login;
    struct redis_tls *tls; /* NULL: without TLS */
    struct redis_pool *pool;
    struct redis_sentinel *sentinel; /* NULL: the server is always the same */
};

/* Connects to nobody yet. Returns 0 and parts to be cleared, or -1 with the reason and none. */
int redis_endpoint_open(const struct store_settings *settings, const struct store_url *url,
                        struct redis_endpoint *out, struct why *why);
void redis_endpoint_clear(struct redis_endpoint *endpoint);

/* As redis_sentinel_need(); 0 where there are no Sentinels. */
int redis_endpoint_need(struct redis_endpoint *endpoint, int64_t deadline, struct why *why);

#endif
