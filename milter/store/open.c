/*
 * Opening a store. Owns the choice of the kind: the only file that knows all of them.
 */
#include "implement.h"

int store_open(const struct store_settings *settings, struct store **out, struct why *why) {
    struct store_url url;
    if (store_url_parse(settings->url, &url, why) != 0)
        return -1;
    switch (url.kind) {
    case STORE_FILE:
        return store_file_open(settings, &url, out, why);
    case STORE_CLUSTER:
        return store_cluster_open(settings, &url, out, why);
    default:
        return store_redis_open(settings, &url, out, why);
    }
}
