/*
 * Asks at a door of the filter over and over, or logs in at Dovecot's auth socket: each connection
 * is kept and has one request under way.
 *
 * Usage: door_load SOCKET allow|dovecot|login CONNECTIONS SECONDS ACCOUNTS. The logins are
 * user0@example.com up to ACCOUNTS, with the password "secret". Prints one JSON object; latencies
 * in microseconds. Exit status 1 when an answer was no yes or a connection failed; the reason is on
 * stderr.
 */
#include "histogram.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1000

struct connection {
    int fd;
    size_t len; /* octets of the answer so far */
    uint64_t asked_ns;
    char answer[2048];
};

/* What is spoken: `write` makes a request for that account; `read` says whether the answer is whole
 * (1), more is to come (0), or it is no yes (-1); `greet` is what comes first, NULL for nothing. */
struct face {
    const char *name;
    int (*greet)(struct connection *connection);
    int (*write)(char *out, size_t size, unsigned account);
    int (*read)(const struct connection *connection);
};

static struct {
    const char *socket;
    const struct face *face;
    unsigned n, waiting, accounts, next;
    uint64_t end_ns;
    struct histogram histogram;
    struct connection connections[CONNECTIONS_MAX];
} run;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int fail(const char *what, const char *detail) {
    fprintf(stderr, "door_load: %s: %s\n", what, detail);
    return -1;
}

static int write_allow(char *out, size_t size, unsigned account) {
    return snprintf(out, size,
                    "GET /v1/allow HTTP/1.1\r\nHost: gatepost\r\nX-Gatepost-Service: caldav\r\n"
                    "X-Gatepost-Account: user%u@example.com\r\n"
                    "X-Gatepost-Client: 192.0.2.10\r\nX-Gatepost-TLS: on\r\n\r\n",
                    account);
}

static int write_dovecot(char *out, size_t size, unsigned account) {
    char body[300];
    int len =
        snprintf(body, sizeof body,
                 "{\"local_port\":\"143\",\"login\":\"user%u@example.com\",\"mech\":\"PLAIN\","
                 "\"protocol\":\"imap\",\"remote\":\"192.0.2.10\",\"secured\":\"TLS\","
                 "\"session_id\":\"\",\"tls\":true}",
                 account);
    return snprintf(out, size,
                    "POST /v1/dovecot?command=allow HTTP/1.1\r\nHost: gatepost\r\n"
                    "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                    len, body);
}

/* The body of a whole answer of status 200; NULL and why, as `read` of a face. */
static const char *read_http(const struct connection *connection, int *why) {
    const char *end = strstr(connection->answer, "\r\n\r\n");
    const char *length = strcasestr(connection->answer, "\r\nContent-Length:");
    *why = 0;
    if (end == NULL)
        return NULL;
    size_t whole = (size_t)(end + 4 - connection->answer) +
                   (length == NULL ? 0 : strtoul(length + 17, NULL, 10));
    if (connection->len < whole)
        return NULL;
    *why = -1;
    return strncmp(connection->answer, "HTTP/1.1 200 ", 13) == 0 ? end + 4 : NULL;
}

static int read_allow(const struct connection *connection) {
    int why;
    return read_http(connection, &why) == NULL ? why : 1;
}

static int read_dovecot(const struct connection *connection) {
    int why;
    const char *body = read_http(connection, &why);
    return body == NULL ? why : strstr(body, "\"status\":0") != NULL ? 1 : -1;
}

/* Dovecot's auth protocol: who asks, and all that Dovecot says of itself. */
static int greet_auth(struct connection *connection) {
    char hello[60];
    int len = snprintf(hello, sizeof hello, "VERSION\t1\t1\nCPID\t%u\n",
                       100000 + (unsigned)(connection - run.connections));
    if (write(connection->fd, hello, (size_t)len) != len)
        return fail("greeting", "it cannot be written");
    while (strstr(connection->answer, "\nDONE\n") == NULL) {
        ssize_t got = read(connection->fd, connection->answer + connection->len,
                           sizeof connection->answer - 1 - connection->len);
        if (got <= 0)
            return fail("greeting", "it has no end");
        connection->len += (size_t)got;
        connection->answer[connection->len] = '\0';
    }
    return 0;
}

static void encode(const char *from, size_t len, char *to) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        unsigned value = 0;
        for (size_t j = 0; j < 3; j++)
            value = value << 8 | (i + j < len ? (unsigned char)from[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            *to++ = i + j > len ? '=' : digits[value >> (18 - 6 * j) & 63];
    }
    *to = '\0';
}

static int write_login(char *out, size_t size, unsigned account) {
    char name[60], plain[100] = "", encoded[140];
    int len = snprintf(name, sizeof name, "user%u@example.com", account);
    memcpy(plain + 1, name, (size_t)len);
    memcpy(plain + 1 + len + 1, "secret", 6);
    encode(plain, (size_t)len + 8, encoded);
    return snprintf(out, size,
                    "AUTH\t%u\tPLAIN\tservice=imap\tlip=192.0.2.1\trip=192.0.2.10\tlport=993\t"
                    "secured=tls\tresp=%s\n",
                    run.next, encoded);
}

static int read_login(const struct connection *connection) {
    if (strchr(connection->answer, '\n') == NULL)
        return 0;
    return strncmp(connection->answer, "OK\t", 3) == 0 ? 1 : -1;
}

static const struct face faces[] = {
    {"allow", NULL, write_allow, read_allow},
    {"dovecot", NULL, write_dovecot, read_dovecot},
    {"login", greet_auth, write_login, read_login},
};

static int ask(struct connection *connection) {
    char request[600];
    int len = run.face->write(request, sizeof request, run.next++ % run.accounts);
    connection->len = 0;
    connection->asked_ns = now_ns();
    return write(connection->fd, request, (size_t)len) == len ? 0 : fail("write", "it failed");
}

/* 1 when the answer is whole, 0 when more is to come. */
static int read_answer(struct connection *connection) {
    ssize_t got = read(connection->fd, connection->answer + connection->len,
                       sizeof connection->answer - 1 - connection->len);
    if (got <= 0)
        return fail("read", "the connection has ended");
    connection->len += (size_t)got;
    connection->answer[connection->len] = '\0';
    int rc = run.face->read(connection);
    return rc < 0 ? fail("answer", connection->answer) : rc;
}

static int connect_one(struct connection *connection, int epoll_fd) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", run.socket);
    connection->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (connection->fd < 0 ||
        connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) != 0)
        return fail("connect", run.socket);
    if (run.face->greet != NULL && run.face->greet(connection) != 0)
        return -1;
    return ask(connection);
}

static int turn(int epoll_fd) {
    struct epoll_event events[64];
    int n = epoll_wait(epoll_fd, events, 64, 5000);
    if (n <= 0)
        return fail("epoll_wait", "no answer in five seconds");
    for (int i = 0; i < n; i++) {
        struct connection *connection = events[i].data.ptr;
        int rc = read_answer(connection);
        if (rc < 0)
            return -1;
        if (rc == 0)
            continue;
        histogram_record(&run.histogram, now_ns() - connection->asked_ns);
        if (now_ns() >= run.end_ns)
            run.waiting--;
        else if (ask(connection) != 0)
            return -1;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fputs("usage: door_load SOCKET allow|dovecot|login CONNECTIONS SECONDS ACCOUNTS\n", stderr);
        return 2;
    }
    double seconds = atof(argv[4]);
    run.socket = argv[1];
    for (size_t i = 0; i < sizeof faces / sizeof *faces; i++)
        if (strcmp(argv[2], faces[i].name) == 0)
            run.face = &faces[i];
    run.n = (unsigned)atoi(argv[3]);
    run.accounts = (unsigned)atoi(argv[5]);
    int epoll_fd = epoll_create1(0);
    if (run.face == NULL || run.n == 0 || run.n > CONNECTIONS_MAX || run.accounts == 0 ||
        epoll_fd < 0)
        return 2;
    uint64_t begin = now_ns();
    run.end_ns = begin + (uint64_t)(seconds * 1e9);
    for (unsigned i = 0; i < run.n; i++)
        if (connect_one(&run.connections[i], epoll_fd) != 0)
            return 1;
    /* to the last answer: for Dovecot, who leaves before is one who guessed a password */
    for (run.waiting = run.n; run.waiting > 0;)
        if (turn(epoll_fd) != 0)
            return 1;
    double took = (double)(now_ns() - begin) / 1e9;
    printf("{\"requests\":%llu,\"requests_per_second\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
           (unsigned long long)run.histogram.total, (double)run.histogram.total / took,
           (double)histogram_quantile(&run.histogram, 0.5) / 1e3,
           (double)histogram_quantile(&run.histogram, 0.99) / 1e3);
    return 0;
}
