/*
 * Where a cluster says that a key is.
 */
#ifndef GATEPOST_STORE_REDIS_REDIRECT_H
#define GATEPOST_STORE_REDIS_REDIRECT_H

struct redis_redirect {
    enum { REDIRECT_NONE, REDIRECT_MOVED, REDIRECT_ASK } kind;
    char host[256]; /* "": that of the node that said so */
    int port;
};

/*
 * Reads "MOVED SLOT HOST:PORT" or "ASK SLOT HOST:PORT"; an IPv6 address stands there bare. Returns
 * 0, or -1 when it is neither. Pure.
 */
int redis_redirect_read(const char *error, struct redis_redirect *out);

#endif
