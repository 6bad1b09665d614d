/*
 * What the filter tells by HTTP. Owns the paths; what stands there is metrics.c's and status.c's,
 * connections are http_server.c's.
 */
#include "http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/http_server.h"
#include "gatepost/base/metrics.h"
#include "gatepost/config/config_check.h"
#include "status.h"

struct http {
    struct http_server *server;
    http_runtime *runtime;
    atomic_bool stopping;
};

/* What `print` writes; `type` is its media type. */
static struct http_answer printed(const char *type,
                                  void print(FILE *to, const struct runtime *runtime),
                                  const struct runtime *runtime) {
    struct http_answer answer = {.status = 200, .type = type};
    FILE *to = open_memstream(&answer.body, &answer.len);
    if (to == NULL)
        return answer;
    print(to, runtime);
    if (fclose(to) != 0) {
        free(answer.body);
        answer.body = NULL;
    }
    return answer;
}

static void print_metrics(FILE *to, const struct runtime *runtime) {
    metrics_store_up(runtime != NULL && store_is_up(runtime->store->store));
    metrics_print(to);
}

static struct http_answer answer_ready(const struct runtime *runtime) {
    struct why why;
    if (runtime == NULL)
        return http_line(503, "stopping");
    bool ready = status_is_ready(runtime, &why);
    return http_line(ready ? 200 : 503, why.text);
}

static struct http_answer answer_path(const char *path, const struct runtime *runtime,
                                      bool stopping) {
    if (strcmp(path, "/metrics") == 0)
        return printed("text/plain; version=0.0.4; charset=utf-8", print_metrics, runtime);
    if (strcmp(path, "/healthz") == 0)
        return http_line(200, "ok");
    if (strcmp(path, "/status") == 0 && runtime != NULL)
        return printed("application/json", status_print, runtime);
    if (strcmp(path, "/readyz") == 0)
        return answer_ready(stopping ? NULL : runtime);
    return http_line(404, "try /metrics, /healthz, /readyz or /status");
}

static struct http_answer on_request(void *context, const char *path) {
    struct http *http = context;
    struct runtime *runtime = http->runtime();
    struct http_answer answer = answer_path(path, runtime, http->stopping);
    runtime_release(runtime);
    return answer;
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
        why_set(why, http == NULL ? "no memory" : "it is not ADDRESS:PORT");
        free(http);
        return -1;
    }
    http->runtime = runtime;
    if (http_server_open((struct sockaddr *)&address, on_request, http, &http->server, why) != 0) {
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
    http_server_close(http->server);
    free(http);
}
