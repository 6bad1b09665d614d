/*
 * The `store` setting: which store, and where. Pure.
 */
#ifndef GATEPOST_CORE_STORE_URL_H
#define GATEPOST_CORE_STORE_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "gatepost/core/why.h"

enum store_kind { STORE_REDIS, STORE_REDIS_UNIX, STORE_FILE, STORE_SENTINEL, STORE_CLUSTER };

/* Sentinels or cluster nodes that a URL may name. */
#define STORE_SEEDS 16
struct store_seed {
    char host[256];
    int port;
};

/* The `store` setting, taken apart. */
struct store_url {
    enum store_kind kind;
    char host[256]; /* redis: */
    int port;
    char path[256]; /* redis+unix:, file: */
    int db;
    bool tls;         /* rediss: and the like */
    char master[128]; /* redis+sentinel: the name that the Sentinels know it by */
    struct store_seed seeds[STORE_SEEDS];
    size_t n_seeds;
};

/*
 * Parses redis://HOST[:PORT][/DB], redis+unix:///PATH[?db=N],
 * redis+sentinel://HOST[:PORT][,...]/NAME[/DB], redis+cluster://HOST[:PORT][,...] or file:PATH;
 * rediss for redis means TLS, where hosts are named.
 * Returns 0, or -1 with the reason in `why`. A password in the URL is refused: it belongs into
 * store_password_file.
 */
int store_url_parse(const char *text, struct store_url *out, struct why *why);

/* The path of a policy file; NULL for every other store. Lasts as long as the text. */
const char *store_url_file(const char *text);

/*
 * The prefix of keys beside the policy: of "gatepost:" and "use" it is "gatepost-use:". malloc'd;
 * NULL when there is no memory.
 */
char *key_prefix_beside(const char *key_prefix, const char *name);

#endif
