/*
 * The HTTP server. Owns the check of what is asked; who may stay is http_peers.c's. Knows no path.
 */
#include "gatepost/base/http_server.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <microhttpd.h>

#include "../listening.h"
#include "http_peers.h"

/*
 * More than a scraper, a balancer and an operator need. Above KEPT a newcomer takes the place of
 * the one that has waited longest; up to CONNECTIONS_MAX they may overlap.
 */
#define KEPT 48
#define CONNECTIONS_MAX 96
#define IDLE_SECONDS 10
#define REQUEST_MAX 10000 /* milliseconds, from the connection or the last answer on */

struct http_server {
    struct MHD_Daemon *daemon;
    http_handler *handler;
    void *context;
    struct http_peers *peers;
    char host[256]; /* of this machine, without its domain */
};

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code) {
    struct http_server *server = context;
    (void)state;
    (void)code;
    http_peers_set(server->peers, connection, PEER_WAITS);
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

static void free_server(struct http_server *server) {
    http_peers_close(server->peers);
    free(server);
}

int http_server_open(const struct sockaddr *address, http_handler *handler, void *context,
                     struct http_server **out, struct why *why) {
    const struct http_peers_settings peers = {
        .kept = KEPT, .patience = {[PEER_WAITS] = REQUEST_MAX, [PEER_ASKS] = REQUEST_MAX}};
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return why_set(why, "no memory");
    server->handler = handler;
    server->context = context;
    if (gethostname(server->host, sizeof server->host - 1) != 0)
        server->host[0] = '\0';
    server->host[strcspn(server->host, ".")] = '\0';
    if (http_peers_open(&peers, &server->peers) != 0) {
        free(server);
        return why_set(why, "no memory");
    }
    int fd = listening_tcp(address, why);
    if (fd < 0) {
        free_server(server);
        return -1;
    }
    unsigned v6 = address->sa_family == AF_INET6 ? MHD_USE_IPv6 : 0;
    /* AUTO is epoll or poll: select(2) would end where sessions have taken the lower descriptors */
    server->daemon = MHD_start_daemon(
        MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | v6, 0, NULL, NULL, on_request, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_NOTIFY_CONNECTION,
        http_peers_notify, server->peers, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_END);
    if (server->daemon == NULL) { /* whether it closes the socket then is not documented */
        free_server(server);
        return why_set(why, "no memory or thread to serve it");
    }
    *out = server;
    return 0;
}

void http_server_close(struct http_server *server) {
    if (server == NULL)
        return;
    MHD_stop_daemon(server->daemon);
    free_server(server);
}
