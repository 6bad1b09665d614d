/*
 * What the error answers of a Redis server mean, and what an operator can do about them.
 */
#ifndef GATEPOST_STORE_REDIS_ERRORS_H
#define GATEPOST_STORE_REDIS_ERRORS_H

#include <stddef.h>

#include "gatepost/core/why.h"

enum redis_fault {
    FAULT_LATER,   /* it serves nobody now: as good as down */
    FAULT_LOGIN,   /* user or password were not taken: as good as down */
    FAULT_REFUSED, /* it serves, but not this command or key; stays so until somebody changes it */
    FAULT_TYPE,    /* the key is no hash */
    FAULT_MOVED,   /* cluster: another node has the key */
    FAULT_ASK,     /* cluster: another node has the key, for this one time */
};

/*
 * Judges an error answer to `command` (NULL: it need not be named) about `key` (NULL for none) and
 * writes both, the answer and advice to `why`.
 */
enum redis_fault redis_error_judge(const char *answer, const char *command, const char *key,
                                   struct why *why);

/* Where a cluster says that a key is. */
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
