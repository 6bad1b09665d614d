/*
 * One connection to a Redis server. Owns connecting, authentication and the deadlines that hiredis
 * does not have (its time-out counts anew with every octet); knows nothing of policy.
 */
#include "gatepost/store/redis/conn.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/waiting.h"
#include "gatepost/store/redis/errors.h"
#include "tls.h"

const char *redis_server_name(const struct redis_server *server, char out[static REDIS_NAME_SIZE]) {
    if (server->path[0] != '\0')
        snprintf(out, REDIS_NAME_SIZE, "%s", server->path);
    else
        snprintf(out, REDIS_NAME_SIZE, strchr(server->host, ':') != NULL ? "[%s]:%d" : "%s:%d",
                 server->host, server->port);
    return out;
}

/* Waits until the socket is ready for `events`; 0, or -1 when the deadline passed or poll failed.
 */
static int wait_ready(int fd, short events, int64_t deadline, struct why *why) {
    int rc = waiting_fd(fd, events, deadline);
    if (rc < 0)
        return why_set(why, "poll: %s", strerror(errno));
    return rc > 0 ? 0 : why_set(why, "no answer within store_timeout");
}

/* Whether something has arrived that is not read yet. */
static bool is_readable(int fd) {
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    return poll(&pfd, 1, 0) > 0;
}

/* Before a server hangs up unasked it says why, such as that it has too many clients. */
static void last_words(redisContext *conn, struct why *why) {
    void *reply = NULL;
    if (!is_readable(conn->fd))
        return;
    conn->err = 0;
    if (redisBufferRead(conn) != REDIS_OK ||
        redisReaderGetReply(conn->reader, &reply) != REDIS_OK || reply == NULL)
        return;
    if (((redisReply *)reply)->type == REDIS_REPLY_ERROR)
        redis_error_judge(((redisReply *)reply)->str, "connect", NULL, why);
    freeReplyObject(reply);
}

int redis_conn_flush(redisContext *conn, int64_t deadline, struct why *why) {
    int done = 0;
    while (!done) {
        if (wait_ready(conn->fd, POLLOUT, deadline, why) != 0)
            return -1;
        if (redisBufferWrite(conn, &done) != REDIS_OK) {
            why_set(why, "%s", conn->errstr);
            last_words(conn, why);
            return -1;
        }
    }
    return 0;
}

/* Octets that have arrived and are not taken yet. */
static size_t buffered(const redisContext *conn) {
    return conn->reader->len - conn->reader->pos;
}

/* A reply in progress. */
struct reading {
    size_t octets; /* that have arrived since it began, those of later replies included */
    bool headed;   /* its first line is known to be good */
    bool late;
};

/*
 * The first line, before hiredis makes room for what it promises. True when there is more to wait
 * for.
 */
static bool awaits_head(struct reading *r, const redisContext *conn) {
    const char *line = conn->reader->buf + conn->reader->pos;
    size_t len = buffered(conn);
    r->headed = r->headed || (len > 0 && (*line != '*' || memchr(line, '\n', len) != NULL));
    return !r->headed;
}

/* The elements that the first line promises; 0 when the reply is no list. */
static unsigned long long promised(const redisContext *conn) {
    const char *line = conn->reader->buf + conn->reader->pos;
    return buffered(conn) > 1 && *line == '*' && line[1] != '-' ? strtoull(line + 1, NULL, 10) : 0;
}

/* Waits for more octets, and takes them. */
static enum redis_reading read_more(struct reading *r, redisContext *conn, int64_t deadline,
                                    struct why *why) {
    if (wait_ready(conn->fd, POLLIN, deadline, why) != 0) {
        if (r->late || !is_readable(conn->fd))
            return r->octets > 0 ? READING_LATE : READING_BROKEN;
        r->late = true;
    }
    size_t before = conn->reader->len;
    if (redisBufferRead(conn) != REDIS_OK) {
        why_set(why, "%s", conn->errstr);
        return READING_BROKEN;
    }
    r->octets += conn->reader->len - before;
    return READING_WHOLE;
}

enum redis_reading redis_conn_read_bounded(redisContext *conn,
                                           const struct redis_reply_bound *bound, int64_t deadline,
                                           redisReply **out, struct why *why) {
    struct reading r = {.octets = buffered(conn)};
    void *reply = NULL;
    enum redis_reading reading = READING_WHOLE;
    *out = NULL;
    while (reading == READING_WHOLE && awaits_head(&r, conn) && r.octets < bound->octets)
        reading = read_more(&r, conn, deadline, why);
    if (reading == READING_WHOLE && promised(conn) > bound->elements) {
        why_set(why, "a list of more than %zu elements", bound->elements);
        return READING_TOO_LARGE;
    }
    while (reading == READING_WHOLE) {
        if (redisReaderGetReply(conn->reader, &reply) != REDIS_OK) {
            why_set(why, "%s", conn->reader->errstr);
            return READING_BROKEN;
        }
        *out = reply;
        if (reply != NULL)
            return READING_WHOLE;
        if (r.octets > bound->octets) {
            why_set(why, "a reply of more than %zu octets", bound->octets);
            return READING_TOO_LARGE;
        }
        reading = read_more(&r, conn, deadline, why);
    }
    return reading;
}

redisReply *redis_conn_read(redisContext *conn, int64_t deadline, struct why *why) {
    static const struct redis_reply_bound none = {SIZE_MAX, SIZE_MAX};
    redisReply *reply;
    redis_conn_read_bounded(conn, &none, deadline, &reply, why);
    return reply;
}

bool redis_conn_has_surplus(const redisContext *conn) {
    char octet;
    return buffered(conn) > 0 || recv(conn->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool redis_reply_is_fields(const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 2 != 0)
        return false;
    for (size_t i = 0; i < reply->elements; i++)
        if (reply->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

redisReply *redis_conn_ask(redisContext *conn, int argc, const char **argv, int64_t deadline,
                           struct why *why) {
    redisAppendCommandArgv(conn, argc, argv, NULL);
    if (redis_conn_flush(conn, deadline, why) != 0)
        return NULL;
    return redis_conn_read(conn, deadline, why);
}

int redis_conn_check_role(const redisReply *reply, struct why *why) {
    if (reply->type == REDIS_REPLY_ERROR) {
        redis_error_judge(reply->str, "ROLE", NULL, why);
        return -1;
    }
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
        reply->element[0]->type == REDIS_REPLY_STRING) {
        if (strcmp(reply->element[0]->str, "master") == 0)
            return 0;
        return why_set(why, "it is not a master any more but a %s", reply->element[0]->str);
    }
    return why_set(why, "ROLE: unexpected answer");
}

/* One reply to a command of the greeting, which must be no error. */
static int take_greeting(redisContext *conn, const struct redis_server *server, const char *command,
                         int64_t deadline, struct why *why) {
    int rc = 0;
    redisReply *reply = redis_conn_read(conn, deadline, why);
    if (reply == NULL)
        return -1;
    if (strcmp(command, "PING") == 0) {
        rc = 0; /* any answer will do */
    } else if (strcmp(command, "ROLE") == 0) {
        rc = redis_conn_check_role(reply, why);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        enum redis_fault fault = redis_error_judge(reply->str, command, NULL, why);
        if (fault == FAULT_LOGIN && server->login != NULL)
            redis_login_refused(server->login);
        rc = -1;
    }
    freeReplyObject(reply);
    return rc;
}

/* PING, AUTH, SELECT and ROLE, as far as they are needed, in one round trip. */
static int greet(redisContext *conn, const struct redis_server *server, int64_t deadline,
                 struct why *why) {
    const char *commands[4];
    char password[REDIS_PASSWORD_SIZE];
    size_t n = 0;
    if (server->tls != NULL) { /* only its answer shows that our certificate was good enough */
        redisAppendCommand(conn, "PING");
        commands[n++] = "PING";
    }
    if (server->login != NULL && redis_login_password(server->login, password)) {
        const char *user = redis_login_user(server->login);
        const char *with_user[] = {"AUTH", user, password};
        const char *without[] = {"AUTH", password};
        bool named = user[0] != '\0';
        redisAppendCommandArgv(conn, named ? 3 : 2, named ? with_user : without, NULL);
        explicit_bzero(password, sizeof password);
        commands[n++] = "AUTH";
    }
    if (server->db != 0) {
        redisAppendCommand(conn, "SELECT %d", server->db);
        commands[n++] = "SELECT";
    }
    if (server->master) {
        redisAppendCommand(conn, "ROLE");
        commands[n++] = "ROLE";
    }
    size_t taken = 0;
    int rc = n > 0 ? redis_conn_flush(conn, deadline, why) : 0;
    for (; rc == 0 && taken < n; taken++)
        rc = take_greeting(conn, server, commands[taken], deadline, why);
    if (rc != 0 && taken <= 1 && server->tls != NULL && clock_now_ms() < deadline) {
        struct why reason = *why;
        why_set(why, "TLS: the server hung up: %s: %s", reason.text, redis_tls_hint(server->tls));
    }
    return rc;
}

redisContext *redis_conn_open(const struct redis_server *server, int64_t deadline,
                              struct why *why) {
    int64_t left = deadline - clock_now_ms();
    if (server->host[0] == '\0' && server->path[0] == '\0') {
        why_set(why, "the address of the server is not known yet");
        return NULL;
    }
    if (left <= 0) {
        why_set(why, "no time left to connect within store_timeout");
        return NULL;
    }
    struct timeval limit = {.tv_sec = left / 1000, .tv_usec = (left % 1000) * 1000};
    const char *host = server->found[0] != '\0' ? server->found : server->host;
    redisContext *conn = server->path[0] != '\0'
                             ? redisConnectUnixWithTimeout(server->path, limit)
                             : redisConnectWithTimeout(host, server->port, limit);
    if (conn == NULL || conn->err != 0) {
        why_set(why, "connect: %s", conn == NULL ? "no memory" : conn->errstr);
        if (conn != NULL)
            redisFree(conn);
        return NULL;
    }
    if ((server->tls != NULL &&
         redis_tls_start(server->tls, conn, server->host, deadline, why) != 0) ||
        greet(conn, server, deadline, why) != 0) {
        redisFree(conn);
        return NULL;
    }
    return conn;
}

void redis_conn_peer(const redisContext *conn, char *out, size_t size) {
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    if (getpeername(conn->fd, (struct sockaddr *)&peer, &len) != 0 ||
        getnameinfo((struct sockaddr *)&peer, len, out, size, NULL, 0, NI_NUMERICHOST) != 0)
        out[0] = '\0';
}
