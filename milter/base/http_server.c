/*
 * The HTTP server. Owns its connections and the check of what is asked; knows no path.
 */
#include "gatepost/base/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "gatepost/base/clock.h"

/*
 * More than a scraper, a balancer and an operator need. Above KEPT a newcomer takes the place of
 * the one that has waited longest; up to CONNECTIONS_MAX they may overlap.
 */
#define KEPT 48
#define CONNECTIONS_MAX 96
#define IDLE_SECONDS 10
#define REQUEST_DEADLINE 10000 /* milliseconds, from the connection or the last answer on */

/* One connection; only the server's thread touches it. */
struct peer {
    struct peer *next, *last;
    int fd;
    int64_t since; /* when its present request began to be waited for */
    bool cut;
};

struct http_server {
    struct MHD_Daemon *daemon;
    http_handler *handler;
    void *context;
    struct peer *peers;
    unsigned n_peers;
    char host[256]; /* of this machine, without its domain */
};

/* ---- who may stay ---- */

static void cut(struct http_server *server, struct peer *peer) {
    if (!peer->cut)
        server->n_peers--;
    peer->cut = true;
    shutdown(peer->fd, SHUT_RDWR); /* libmicrohttpd finds that, and closes it */
}

/* A newcomer ends who has overstayed, and who has waited longest when there are too many. */
static void make_room(struct http_server *server, int64_t now) {
    struct peer *oldest = NULL;
    for (struct peer *peer = server->peers; peer != NULL; peer = peer->next) {
        if (peer->cut)
            continue;
        if (now - peer->since > REQUEST_DEADLINE)
            cut(server, peer);
        else if (oldest == NULL || peer->since < oldest->since)
            oldest = peer;
    }
    if (server->n_peers >= KEPT && oldest != NULL)
        cut(server, oldest);
}

static void greet(struct http_server *server, struct MHD_Connection *connection, void **context) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct peer *peer = info == NULL ? NULL : calloc(1, sizeof *peer);
    if (peer == NULL)
        return; /* the idle time-out ends it */
    peer->fd = info->connect_fd;
    peer->since = clock_now_ms();
    make_room(server, peer->since);
    peer->next = server->peers;
    if (peer->next != NULL)
        peer->next->last = peer;
    server->peers = peer;
    server->n_peers++;
    *context = peer;
}

static void forget(struct http_server *server, struct peer *peer) {
    if (peer->last != NULL)
        peer->last->next = peer->next;
    else
        server->peers = peer->next;
    if (peer->next != NULL)
        peer->next->last = peer->last;
    if (!peer->cut)
        server->n_peers--;
    free(peer);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **of_connection,
                          enum MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        greet(context, connection, of_connection);
    else if (*of_connection != NULL)
        forget(context, *of_connection);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    (void)context;
    (void)state;
    (void)code;
    if (info != NULL && info->socket_context != NULL)
        ((struct peer *)info->socket_context)->since = clock_now_ms();
}

/* ---- what is answered ---- */

struct http_answer http_line(unsigned status, const char *line) {
    struct http_answer answer = {.status = status, .type = "text/plain; charset=utf-8"};
    int len = asprintf(&answer.body, "%s\n", line);
    if (len < 0)
        answer.body = NULL;
    else
        answer.len = (size_t)len;
    return answer;
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct http_answer answer) {
    struct MHD_Response *response =
        answer.body == NULL
            ? NULL
            : MHD_create_response_from_buffer(answer.len, answer.body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(answer.body);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (answer.status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    return result;
}

/* Is this a name or an address of this host? `host` is as in a Host field, with or without a port.
 */
static bool is_here(const struct http_server *server, const char *host) {
    char name[256];
    unsigned char address[16];
    size_t len = strlen(host), own = strlen(server->host);
    if (len >= sizeof name)
        return false;
    memcpy(name, host, len + 1);
    if (name[0] == '[') {
        char *end = strchr(name, ']');
        if (end == NULL)
            return false;
        *end = '\0';
        return inet_pton(AF_INET6, name + 1, address) == 1;
    }
    name[strcspn(name, ":")] = '\0';
    return inet_pton(AF_INET, name, address) == 1 || strcasecmp(name, "localhost") == 0 ||
           (own > 0 && strncasecmp(name, server->host, own) == 0 &&
            (name[own] == '\0' || name[own] == '.'));
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *body, size_t *body_size, void **state) {
    static int seen;
    struct http_server *server = context;
    (void)version;
    (void)body;
    if (*state == NULL) { /* the header is here; the body, which nobody needs, is not */
        *state = &seen;
        return MHD_YES;
    }
    if (*body_size > 0) {
        *body_size = 0;
        return MHD_YES;
    }
    const char *host =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    if (host != NULL && !is_here(server, host))
        return send_answer(connection, http_line(MHD_HTTP_MISDIRECTED_REQUEST,
                                                 "ask by an address of this host, by its host name "
                                                 "or as localhost"));
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return send_answer(
            connection, http_line(MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are supported"));
    return send_answer(connection, server->handler(server->context, path));
}

/* A socket that listens there, or -1 with the reason: MHD_start_daemon() may lose errno. */
static int listen_on(const struct sockaddr *address, struct why *why) {
    bool v6 = address->sa_family == AF_INET6;
    socklen_t len = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int on = 1;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        (!v6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
        bind(fd, address, len) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    why_set(why, "%s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

int http_server_open(const struct sockaddr *address, http_handler *handler, void *context,
                     struct http_server **out, struct why *why) {
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return why_set(why, "no memory");
    server->handler = handler;
    server->context = context;
    if (gethostname(server->host, sizeof server->host - 1) != 0)
        server->host[0] = '\0';
    server->host[strcspn(server->host, ".")] = '\0';
    int fd = listen_on(address, why);
    if (fd < 0) {
        free(server);
        return -1;
    }
    unsigned v6 = address->sa_family == AF_INET6 ? MHD_USE_IPv6 : 0;
    /* AUTO is epoll or poll: select(2) would end where sessions have taken the lower descriptors */
    server->daemon = MHD_start_daemon(
        MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | v6, 0, NULL, NULL, on_request, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_END);
    if (server->daemon == NULL) { /* whether it closes the socket then is not documented */
        free(server);
        return why_set(why, "no memory or thread to serve it");
    }
    *out = server;
    return 0;
}

void http_server_close(struct http_server *server) {
    if (server == NULL)
        return;
    MHD_stop_daemon(server->daemon);
    free(server);
}
