/*
 * TLS for connections to Redis, where hiredis was built with it.
 */
#ifndef GATEPOST_STORE_REDIS_TLS_H
#define GATEPOST_STORE_REDIS_TLS_H

#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "gatepost/core/why.h"
#include "gatepost/store/redis/conn.h"
#include "gatepost/store/store.h"

/*
 * Reads the PEM files of the settings: the CAs to trust (those of this host when there is no
 * tls_ca), and the certificate and key to show a server that asks for them. Returns 0 and what is
 * owned by the caller, or -1 with the reason, which names the setting and the file.
 */
int redis_tls_open(const struct store_settings *settings, struct redis_tls **out, struct why *why);

/* NULL is fine. Connections that have begun keep what they need. */
void redis_tls_free(struct redis_tls *tls);

/*
 * Begins TLS on a new connection: `host` is the name or address that the server's certificate must
 * be for. Returns 0, or -1 with the reason. The connection never blocks from then on, so that each
 * deadline holds, whatever part of a record has come. Any thread.
 */
int redis_tls_start(struct redis_tls *tls, redisContext *conn, const char *host, int64_t deadline,
                    struct why *why);

/* What a server may have against us when it hangs up right after the handshake. */
const char *redis_tls_hint(const struct redis_tls *tls);

#endif
