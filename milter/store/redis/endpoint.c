/*
 * One Redis server as a URL names it. Owns the putting together of login, pool and Sentinels.
 */
#include "gatepost/store/redis/endpoint.h"

#include <stdio.h>
#include <string.h>

#include "tls.h"

int redis_endpoint_open(const struct store_settings *settings, const struct store_url *url,
                        struct redis_endpoint *out, struct why *why) {
    struct redis_server server = {
        .port = url->port, .db = url->db, .master = url->kind == STORE_SENTINEL};
    *out = (struct redis_endpoint){0};
    if (redis_login_open(settings->user, settings->password_file, &out->login, why) != 0)
        return -1;
    if (url->tls && redis_tls_open(settings, &out->tls, why) != 0) {
        redis_endpoint_clear(out);
        return -1;
    }
    server.login = out->login;
    server.tls = out->tls;
    memcpy(server.host, url->host, sizeof server.host);
    memcpy(server.path, url->path, sizeof server.path);
    out->pool = redis_pool_new(&server, settings->url);
    if (out->pool != NULL && url->kind == STORE_SENTINEL)
        out->sentinel = redis_sentinel_new(url, settings->url, out->login, out->tls, out->pool,
                                           settings->timeout);
    if (out->pool == NULL || (url->kind == STORE_SENTINEL && out->sentinel == NULL)) {
        redis_endpoint_clear(out);
        return why_set(why, "no memory");
    }
    return 0;
}

void redis_endpoint_clear(struct redis_endpoint *endpoint) {
    redis_sentinel_free(endpoint->sentinel);
    redis_pool_free(endpoint->pool);
    redis_login_free(endpoint->login);
    redis_tls_free(endpoint->tls);
    *endpoint = (struct redis_endpoint){0};
}

int redis_endpoint_need(struct redis_endpoint *endpoint, int64_t deadline, struct why *why) {
    if (endpoint->sentinel == NULL)
        return 0;
    return redis_sentinel_need(endpoint->sentinel, deadline, why);
}
