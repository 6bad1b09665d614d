/*
 * What the filter serves by HTTP. Owns the paths; the contents come from metrics.c and status.c,
 * and http_server.c handles the connections.
 */
#include "http.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/host_port.h"
#include "gatepost/base/http_server.h"
#include "gatepost/base/metrics.h"
#include "status.h"

struct http {
    struct http_server *server;
    http_runtime *runtime;
    struct doors *doors;
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

static struct http_answer answer_ready(const struct runtime *runtime, struct doors *doors) {
    struct why why;
    if (runtime == NULL)
        return http_line(503, "stopping");
    bool ready = doors_are_ready(doors, &why) && status_is_ready(runtime, &why);
    return http_line(ready ? 200 : 503, why.text);
}

static struct http_answer answer_path(const struct http *http, const char *path,
                                      const struct runtime *runtime) {
    if (strcmp(path, "/metrics") == 0)
        return printed("text/plain; version=0.0.4; charset=utf-8", print_metrics, runtime);
    if (strcmp(path, "/healthz") == 0)
        return http_line(200, "ok");
    if (strcmp(path, "/status") == 0 && runtime != NULL)
        return printed("application/json", status_print, runtime);
    if (strcmp(path, "/readyz") == 0)
        return answer_ready(http->stopping ? NULL : runtime, http->doors);
    return http_line(404, "try /metrics, /healthz, /readyz or /status");
}

static struct http_answer on_request(void *context, const char *path) {
    struct http *http = context;
    struct runtime *runtime = http->runtime();
    struct http_answer answer = answer_path(http, path, runtime);
    runtime_release(runtime);
    return answer;
}

int http_open(const char *listen, http_runtime *runtime, struct doors *doors, struct http **out,
              struct why *why) {
    struct sockaddr_storage address;
    struct host_port where;
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL || host_port_parse(listen, &where) != 0) {
        why_set(why, http == NULL ? "no memory" : "it is not ADDRESS:PORT");
        free(http);
        return -1;
    }
    http->runtime = runtime;
    http->doors = doors;
    host_port_sockaddr(&where, &address);
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
