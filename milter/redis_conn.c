/*
 * One connection to a Redis server. Owns connecting, authentication and the deadlines that hiredis
 * does not have (its time-out counts anew with every octet); knows nothing of policy.
 */
#include "gatepost/redis_conn.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "gatepost/clock.h"

/* Waits until the socket is ready for `events`; 0, or -1 when the deadline passed or poll failed.
 */
static int wait_ready(int fd, short events, int64_t deadline, char *why, size_t why_size) {
    for (;;) {
        int64_t left = deadline - clock_now_ms();
        struct pollfd pfd = {.fd = fd, .events = events};
        int rc = poll(&pfd, 1, left > 0 ? (int)left : 0);
        if (rc > 0)
            return 0;
        if (rc == 0) {
            snprintf(why, why_size, "no answer within store_timeout");
            return -1;
        }
        if (errno != EINTR) {
            snprintf(why, why_size, "poll: %s", strerror(errno));
            return -1;
        }
    }
}

int redis_conn_flush(redisContext *conn, int64_t deadline, char *why, size_t why_size) {
    int done = 0;
    while (!done) {
        if (wait_ready(conn->fd, POLLOUT, deadline, why, why_size) != 0)
            return -1;
        if (redisBufferWrite(conn, &done) != REDIS_OK) {
            snprintf(why, why_size, "%s", conn->errstr);
            return -1;
        }
    }
    return 0;
}

redisReply *redis_conn_read(redisContext *conn, int64_t deadline, char *why, size_t why_size) {
    void *reply = NULL;
    for (;;) {
        if (redisReaderGetReply(conn->reader, &reply) != REDIS_OK) {
            snprintf(why, why_size, "%s", conn->reader->errstr);
            return NULL;
        }
        if (reply != NULL)
            return reply;
        if (wait_ready(conn->fd, POLLIN, deadline, why, why_size) != 0)
            return NULL;
        if (redisBufferRead(conn) != REDIS_OK) {
            snprintf(why, why_size, "%s", conn->errstr);
            return NULL;
        }
    }
}

/* One reply that must be no error. */
static int expect_ok(redisContext *conn, const char *command, int64_t deadline, char *why,
                     size_t why_size) {
    redisReply *reply = redis_conn_read(conn, deadline, why, why_size);
    if (reply == NULL)
        return -1;
    int rc = reply->type == REDIS_REPLY_ERROR ? -1 : 0;
    if (rc != 0)
        snprintf(why, why_size, "%s: %s", command, reply->str);
    freeReplyObject(reply);
    return rc;
}

static int greet(redisContext *conn, const struct store_url *url, const char *user,
                 const char *password, int64_t deadline, char *why, size_t why_size) {
    if (password != NULL) {
        const char *with_user[] = {"AUTH", user, password};
        const char *without[] = {"AUTH", password};
        bool named = user[0] != '\0';
        redisAppendCommandArgv(conn, named ? 3 : 2, named ? with_user : without, NULL);
    }
    if (url->db != 0)
        redisAppendCommand(conn, "SELECT %d", url->db);
    if (password == NULL && url->db == 0)
        return 0;
    if (redis_conn_flush(conn, deadline, why, why_size) != 0)
        return -1;
    if (password != NULL && expect_ok(conn, "AUTH", deadline, why, why_size) != 0)
        return -1;
    return url->db == 0 ? 0 : expect_ok(conn, "SELECT", deadline, why, why_size);
}

redisContext *redis_conn_open(const struct store_url *url, const char *user, const char *password,
                              int64_t deadline, char *why, size_t why_size) {
    int64_t left = deadline - clock_now_ms();
    if (left <= 0) {
        snprintf(why, why_size, "no time left to connect within store_timeout");
        return NULL;
    }
    struct timeval limit = {.tv_sec = left / 1000, .tv_usec = (left % 1000) * 1000};
    redisContext *conn = url->kind == STORE_REDIS_UNIX
                             ? redisConnectUnixWithTimeout(url->path, limit)
                             : redisConnectWithTimeout(url->host, url->port, limit);
    if (conn == NULL || conn->err != 0) {
        snprintf(why, why_size, "connect: %s", conn == NULL ? "no memory" : conn->errstr);
        if (conn != NULL)
            redisFree(conn);
        return NULL;
    }
    if (greet(conn, url, user, password, deadline, why, why_size) != 0) {
        redisFree(conn);
        return NULL;
    }
    return conn;
}
