/*
 * One connection to a Redis server, on which every wait has a deadline.
 *
 * A connection belongs to one thread at a time, any thread. Deadlines are absolute milliseconds of
 * clock_now_ms().
 */
#ifndef GATEPOST_REDIS_CONN_H
#define GATEPOST_REDIS_CONN_H

#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "gatepost/store.h"

/*
 * Connects, authenticates (password not NULL; user "" for the default user) and selects the
 * database. Returns the connection, owned by the caller, to be freed with redisFree(), or NULL
 * with the reason in `why`.
 */
redisContext *redis_conn_open(const struct store_url *url, const char *user, const char *password,
                              int64_t deadline, char *why, size_t why_size);

/* Sends what is queued by redisAppendCommandArgv(). Returns 0, or -1 with the reason. */
int redis_conn_flush(redisContext *conn, int64_t deadline, char *why, size_t why_size);

/*
 * The next reply, to be freed with freeReplyObject(), or NULL with the reason: the connection is
 * then of no more use. An error reply of the server is a reply.
 */
redisReply *redis_conn_read(redisContext *conn, int64_t deadline, char *why, size_t why_size);

#endif
