/*
 * Opening a writer. Owns the choice of the kind: the only file that knows all of them.
 */
#include "implement.h"

int store_writer_open(const struct store_settings *settings, const char *actor,
                      struct store_writer **out, struct why *why) {
    struct store_url url;
    if (store_url_parse(settings->url, &url, why) != 0)
        return -1;
    if (url.kind == STORE_FILE)
        return store_writer_file_open(&url, actor, out, why);
    if (url.kind == STORE_CLUSTER)
        return store_writer_cluster_open(settings, &url, actor, out, why);
    return store_writer_redis_open(settings, &url, actor, out, why);
}
