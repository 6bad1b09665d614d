/*
 * TLS for a connection to Redis, where hiredis was built with it.
 */
#ifndef GATEPOST_STORE_REDIS_TLS_H
#define GATEPOST_STORE_REDIS_TLS_H

#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "gatepost/core/why.h"

/*
 * Reads the CAs that this host trusts, which takes some time; before the first redis_tls_start().
 * Returns 0, or -1 with the reason.
 */
int redis_tls_prepare(struct why *why);

/*
 * Begins TLS on a new connection: `host` is the name or address that the server's certificate must
 * be for, signed by a CA of the system. Returns 0, or -1 with the reason. Any thread.
 */
int redis_tls_start(redisContext *conn, const char *host, int64_t deadline, struct why *why);

#endif
