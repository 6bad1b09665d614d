/*
 * One connection to a Redis server, on which every wait has a deadline.
 *
 * A connection belongs to one thread at a time, any thread. Deadlines are absolute milliseconds of
 * clock_now_ms().
 */
#ifndef GATEPOST_STORE_REDIS_CONN_H
#define GATEPOST_STORE_REDIS_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "gatepost/core/why.h"
#include "gatepost/store/redis/login.h"

struct redis_tls;

/* A server, and how it is greeted. A value: copy it. */
struct redis_server {
    char path[256]; /* of its unix socket; "" for TCP */
    char host[256]; /* name or address */
    char found[64]; /* the address that the name was last found to be; "" before */
    int port;
    int db;
    bool master;               /* it must be a master: asked by ROLE */
    struct redis_login *login; /* borrowed; NULL for no AUTH */
    struct redis_tls *tls;     /* borrowed; NULL for none */
};

/* Long enough for redis_server_name(). */
#define REDIS_NAME_SIZE 300

/* "HOST:PORT", or the path of the socket, for the log. Returns `out`. */
const char *redis_server_name(const struct redis_server *server, char out[static REDIS_NAME_SIZE]);

/*
 * Connects, authenticates and selects the database. By name when there is no `found`; then the time
 * that the resolver takes is not bounded by the deadline. Returns the connection, owned by the
 * caller, to be freed with redisFree(), or NULL with the reason in `why`: the server cannot be
 * used now.
 */
redisContext *redis_conn_open(const struct redis_server *server, int64_t deadline, struct why *why);

/* Writes the address at the other end; "" when there is none. */
void redis_conn_peer(const redisContext *conn, char *out, size_t size);

/* Sends what is queued by redisAppendCommandArgv(). Returns 0, or -1 with the reason. */
int redis_conn_flush(redisContext *conn, int64_t deadline, struct why *why);

/*
 * The next reply, to be freed with freeReplyObject(), or NULL with the reason: the connection must
 * not be used any more then. An error reply of the server is a reply. What has already arrived is
 * read once even after the deadline: another server may have taken the time.
 */
redisReply *redis_conn_read(redisContext *conn, int64_t deadline, struct why *why);

/* What one reply may have: elements of a list, octets as they come over the wire. */
struct redis_reply_bound {
    size_t elements, octets;
};

enum redis_reading {
    READING_WHOLE,
    READING_TOO_LARGE, /* more than the bound: it is not read to its end */
    READING_LATE,      /* it has begun to arrive, and was not whole at the deadline */
    READING_BROKEN,    /* no octet of it until the deadline, or the connection broke */
};

/*
 * As redis_conn_read(), but reads no more than the bound. READING_WHOLE and the reply in *out, or
 * the reason and NULL: the connection must then be closed.
 */
enum redis_reading redis_conn_read_bounded(redisContext *conn,
                                           const struct redis_reply_bound *bound, int64_t deadline,
                                           redisReply **out, struct why *why);

/*
 * Has something arrived that nobody has asked for? For a connection on which every answer has been
 * read. That the other end has hung up is not told.
 */
bool redis_conn_has_surplus(const redisContext *conn);

/* Is the reply a list of strings, in pairs: fields and their values? */
bool redis_reply_is_fields(const redisReply *reply);

/* Both: one command of words and its reply. */
redisReply *redis_conn_ask(redisContext *conn, int argc, const char **argv, int64_t deadline,
                           struct why *why);

/* Is this reply to ROLE that of a master? -1 with the reason when it is not. */
int redis_conn_check_role(const redisReply *reply, struct why *why);

#endif
