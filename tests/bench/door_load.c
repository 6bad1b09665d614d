/*
 * Asks at a door of the filter over and over: each connection is kept and has one request under
 * way.
 *
 * Usage: door_load SOCKET allow|dovecot CONNECTIONS SECONDS ACCOUNTS. The logins are
 * user0@example.com up to ACCOUNTS. Prints one JSON object; latencies in microseconds. Exit status
 * 1 when an answer was no yes or a connection failed; the reason is on stderr.
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

static struct {
    const char *socket;
    bool dovecot;
    unsigned n, accounts, next;
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

static int ask(struct connection *connection) {
    char body[300], request[600];
    unsigned account = run.next++ % run.accounts;
    int len =
        snprintf(body, sizeof body,
                 "{\"local_port\":\"143\",\"login\":\"user%u@example.com\",\"mech\":\"PLAIN\","
                 "\"protocol\":\"imap\",\"remote\":\"192.0.2.10\",\"secured\":\"TLS\","
                 "\"session_id\":\"\",\"tls\":true}",
                 account);
    if (run.dovecot)
        len = snprintf(request, sizeof request,
                       "POST /v1/dovecot?command=allow HTTP/1.1\r\nHost: gatepost\r\n"
                       "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                       len, body);
    else
        len = snprintf(request, sizeof request,
                       "GET /v1/allow HTTP/1.1\r\nHost: gatepost\r\nX-Gatepost-Service: caldav\r\n"
                       "X-Gatepost-Account: user%u@example.com\r\n"
                       "X-Gatepost-Client: 192.0.2.10\r\nX-Gatepost-TLS: on\r\n\r\n",
                       account);
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
    const char *end = strstr(connection->answer, "\r\n\r\n");
    const char *length = strcasestr(connection->answer, "\r\nContent-Length:");
    if (end == NULL)
        return 0;
    size_t whole = (size_t)(end + 4 - connection->answer) +
                   (length == NULL ? 0 : strtoul(length + 17, NULL, 10));
    if (connection->len < whole)
        return 0;
    bool yes = strncmp(connection->answer, "HTTP/1.1 200 ", 13) == 0 &&
               (!run.dovecot || strstr(end, "\"status\":0") != NULL);
    return yes ? 1 : fail("answer", connection->answer);
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
        if (ask(connection) != 0)
            return -1;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fputs("usage: door_load SOCKET allow|dovecot CONNECTIONS SECONDS ACCOUNTS\n", stderr);
        return 2;
    }
    double seconds = atof(argv[4]);
    run.socket = argv[1];
    run.dovecot = strcmp(argv[2], "dovecot") == 0;
    run.n = (unsigned)atoi(argv[3]);
    run.accounts = (unsigned)atoi(argv[5]);
    int epoll_fd = epoll_create1(0);
    if (run.n == 0 || run.n > CONNECTIONS_MAX || run.accounts == 0 || epoll_fd < 0)
        return 2;
    uint64_t begin = now_ns();
    run.end_ns = begin + (uint64_t)(seconds * 1e9);
    for (unsigned i = 0; i < run.n; i++)
        if (connect_one(&run.connections[i], epoll_fd) != 0)
            return 1;
    while (now_ns() < run.end_ns)
        if (turn(epoll_fd) != 0)
            return 1;
    double took = (double)(now_ns() - begin) / 1e9;
    printf("{\"requests\":%llu,\"requests_per_second\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
           (unsigned long long)run.histogram.total, (double)run.histogram.total / took,
           (double)histogram_quantile(&run.histogram, 0.5) / 1e3,
           (double)histogram_quantile(&run.histogram, 0.99) / 1e3);
    return 0;
}
