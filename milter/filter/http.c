/*
 * The HTTP server. Owns paths, methods and status codes; what is told is metrics.c's and
 * status.c's.
 */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

#include "gatepost/base/metrics.h"
#include "gatepost/config/config_check.h"
#include "status.h"

/* More than a scraper, a balancer and an operator need; a stranger cannot take more threads. */
#define CONNECTIONS_MAX 64
#define IDLE_SECONDS 10

struct http {
    struct MHD_Daemon *daemon;
    http_runtime *runtime;
    atomic_bool stopping;
};

/* Sends `text`, which it then owns. */
static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned code, const char *type,
                                 char *text, size_t len) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_line(struct MHD_Connection *connection, unsigned code,
                                 const char *line) {
    char *text;
    int len = asprintf(&text, "%s\n", line);
    return len < 0 ? MHD_NO
                   : send_text(connection, code, "text/plain; charset=utf-8", text, (size_t)len);
}

/* What `print` writes; `type` is its media type. */
static enum MHD_Result send_printed(struct MHD_Connection *connection, const char *type,
                                    void print(FILE *to, const struct runtime *runtime),
                                    const struct runtime *runtime) {
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    if (to == NULL)
        return MHD_NO;
    print(to, runtime);
    if (fclose(to) != 0) {
        free(text);
        return MHD_NO;
    }
    return send_text(connection, MHD_HTTP_OK, type, text, len);
}

static void print_metrics(FILE *to, const struct runtime *runtime) {
    metrics_store_up(runtime != NULL && store_is_up(runtime->store->store));
    metrics_print(to);
}

static enum MHD_Result answer_ready(struct MHD_Connection *connection,
                                    const struct runtime *runtime) {
    struct why why;
    bool ready = runtime != NULL && status_is_ready(runtime, &why);
    return send_line(connection, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                     runtime == NULL ? "stopping" : why.text);
}

static enum MHD_Result answer_path(struct MHD_Connection *connection, const char *path,
                                   const struct runtime *runtime, bool stopping) {
    if (strcmp(path, "/metrics") == 0)
        return send_printed(connection, "text/plain; version=0.0.4; charset=utf-8", print_metrics,
                            runtime);
    if (strcmp(path, "/healthz") == 0)
        return send_line(connection, MHD_HTTP_OK, "ok");
    if (strcmp(path, "/status") == 0 && runtime != NULL)
        return send_printed(connection, "application/json", status_print, runtime);
    if (strcmp(path, "/readyz") == 0)
        return answer_ready(connection, stopping ? NULL : runtime);
    return send_line(connection, MHD_HTTP_NOT_FOUND,
                     "known are /metrics, /healthz, /readyz and /status");
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *body,
                              size_t *body_size, void **state) {
    static int seen;
    struct http *http = context;
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
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return send_line(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are known");
    struct runtime *runtime = http->runtime();
    enum MHD_Result result = answer_path(connection, path, runtime, http->stopping);
    runtime_release(runtime);
    return result;
}

/* As the configuration has checked it. */
static int parse_listen(const char *listen, struct sockaddr_storage *out) {
    char text[100];
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    if (nameserver_format(listen, text, sizeof text) != 0) /* now ADDRESS:PORT or [ADDRESS]:PORT */
        return -1;
    char *colon = strrchr(text, ':');
    *colon = '\0';
    memset(out, 0, sizeof *out);
    if (text[0] == '[') {
        colon[-1] = '\0';
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)atoi(colon + 1));
        return inet_pton(AF_INET6, text + 1, &v6->sin6_addr) == 1 ? 0 : -1;
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)atoi(colon + 1));
    return inet_pton(AF_INET, text, &v4->sin_addr) == 1 ? 0 : -1;
}

int http_open(const char *listen, http_runtime *runtime, struct http **out, struct why *why) {
    struct sockaddr_storage address;
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL || parse_listen(listen, &address) != 0) {
        why_set(why, http == NULL ? "no memory" : "it is no ADDRESS:PORT");
        free(http);
        return -1;
    }
    http->runtime = runtime;
    errno = 0;
    unsigned v6 = address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0;
    /* AUTO is epoll or poll: select(2) would end where sessions have taken the lower descriptors */
    http->daemon =
        MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | v6, 0, NULL, NULL, answer,
                         http, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
    if (http->daemon == NULL) {
        why_set(why, "%s", errno != 0 ? strerror(errno) : "it cannot be listened on");
        free(http);
        return -1;
    }
    *out = http;
    return 0;
}

void http_stopping(struct http *http) {
    if (http != NULL)
        http->stopping = true;
}

void http_close(struct http *http) {
    if (http == NULL)
        return;
    MHD_stop_daemon(http->daemon);
    free(http);
}
