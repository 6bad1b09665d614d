/*
 * The doors. Owns which request goes to which face, on which socket, and who may ask at all; what a
 * face sends and takes is its own.
 */
#include "doors.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "door.h"
#include "gatepost/base/json_text.h"
#include "gatepost/base/log.h"
#include "gatepost/base/named_socket.h"
#include "token.h"

/* Threads that judge, and requests that wait for one: the store is waited for at most so often. */
#define WORKERS_MAX 64
#define WAITING_MAX 256

/* Connections of one socket, as far as the descriptors of the process allow; a quarter is for all
 * doors, the rest the MTA's. */
#define CONNECTIONS_MAX 10000

/* Of the passwords' socket. */
#define PASSWORDS_MODE 0600

struct gate {
    struct named_socket socket;
    struct http_service *service;
    bool by_token, passwords;
};

struct doors {
    struct workers *workers;
    struct gate *gates;
    size_t n;
};

static const struct route {
    const char *path, *method; /* HEAD is as GET */
    bool passwords;            /* on passwords_listen, and there alone */
    door_face *answer;
    door_refusal *refuse;
} routes[] = {
    {"/v1/dovecot", "POST", false, door_dovecot, door_refuse_dovecot},
    {"/v1/allow", "GET", false, door_allow, door_refuse},
    {"/v1/nginx-mail", "GET", false, door_nginx_mail, door_refuse_nginx_mail},
    {"/v1/password", "POST", true, door_password, door_refuse},
};

static const struct route *find_route(const struct gate *gate, const char *path) {
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (routes[i].passwords == gate->passwords && strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

static bool has_token(const struct http_request *request) {
    const char *token;
    return http_request_field(request, "X-Gatepost-Token", &token) == 1 && token_matches(token);
}

/* A request that is none of ours. */
static bool turn_away(const struct http_request *request, struct http_response *response,
                      unsigned status, const char *reason, const char *text) {
    door_log_bad(request, text);
    door_refuse(request, response, status, reason, text);
    return false;
}

static bool admit(void *context, const struct http_request *request,
                  struct http_response *response) {
    const struct gate *gate = context;
    const struct route *route = find_route(gate, request->path);
    if (gate->by_token && !has_token(request))
        return turn_away(request, response, 403, BAD_TOKEN, "the token is missing or wrong");
    if (route == NULL)
        return turn_away(request, response, 404, BAD_REQUEST, "there is nothing at this path");
    bool is_get = strcmp(route->method, "GET") == 0;
    if (strcmp(request->method, route->method) == 0 ||
        (is_get && strcmp(request->method, "HEAD") == 0))
        return true;
    turn_away(request, response, 405, BAD_REQUEST, "this path takes another method");
    http_response_field(response, "Allow", is_get ? "GET, HEAD" : "POST");
    return false;
}

static void answer(void *context, const struct http_request *request,
                   struct http_response *response) {
    const struct route *route = find_route(context, request->path);
    struct runtime *runtime = runtime_current();
    if (runtime == NULL)
        route->refuse(request, response, 503, reason_name(REASON_POLICY_UNAVAILABLE),
                      "stopping: try again later");
    else
        route->answer(runtime, request, response);
    runtime_release(runtime);
}

static void refuse(void *context, const struct http_request *request, enum http_refusal refusal,
                   struct http_response *response) {
    const struct route *route = find_route(context, request->path);
    bool busy = refusal == HTTP_BUSY;
    const char *text = busy ? "too many logins wait: try again later" : "the body is too large";
    door_log_bad(request, text);
    route->refuse(request, response, busy ? 503 : 413,
                  busy ? reason_name(REASON_POLICY_UNAVAILABLE) : BAD_REQUEST, text);
}

/*
 * One for passwords is nobody's but the filter's user's, and root's. Its file stays when the filter
 * stops: what else may make sockets in that directory, as gatepost-settings may, cannot take its
 * place and tell Dovecot that each password is good.
 */
static int open_socket(const struct config *config, const struct privileges *privileges,
                       const char *name, bool passwords, struct named_socket *out) {
    const struct unix_place place = {.setting = passwords ? "passwords_listen" : "doors_listen",
                                     .value = name,
                                     .group_setting = "doors_group",
                                     .group = passwords ? "" : config->doors_group,
                                     .group_given = true,
                                     .give = privileges->change,
                                     .owner = privileges->uid,
                                     .owner_name = config->user};
    int rc = named_socket_open(&place, passwords ? PASSWORDS_MODE : config->doors_mode, out);
    out->stays = passwords;
    return rc;
}

int doors_listen(const struct config *config, const struct privileges *privileges,
                 struct doors **out) {
    bool passwords = config->passwords_listen[0] != '\0';
    size_t n = config->doors_listen.n + (passwords ? 1 : 0);
    struct doors *doors = NULL;
    *out = NULL;
    if (n == 0)
        return 0;
    if ((doors = calloc(1, sizeof *doors)) == NULL ||
        (doors->gates = calloc(n, sizeof *doors->gates)) == NULL ||
        workers_open(WORKERS_MAX, WAITING_MAX, &doors->workers) != 0) {
        log_event(LOG_ERR, "start-failed", "problem", "no memory", (char *)NULL);
        doors_close(doors);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        struct gate *gate = &doors->gates[doors->n++];
        bool last = i == config->doors_listen.n; /* the passwords' */
        if (open_socket(config, privileges,
                        last ? config->passwords_listen : config->doors_listen.items[i], last,
                        &gate->socket) != 0) {
            doors_close(doors);
            return -1;
        }
        gate->by_token = named_socket_is_tcp(&gate->socket);
        gate->passwords = last;
    }
    *out = doors;
    return 0;
}

/* What one socket may take of the process's descriptors. */
static unsigned connections_each(size_t sockets) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 256;
    rlim_t share = limit.rlim_cur / 4 / sockets;
    return share > CONNECTIONS_MAX ? CONNECTIONS_MAX : share < 8 ? 8 : (unsigned)share;
}

static int serve_gate(struct doors *doors, struct gate *gate) {
    const struct http_service_settings settings = {.workers = doors->workers,
                                                   .connections = connections_each(doors->n),
                                                   .secret = gate->passwords,
                                                   .admit = admit,
                                                   .answer = answer,
                                                   .refuse = refuse,
                                                   .context = gate};
    struct why why;
    int listener = gate->socket.listener;
    gate->socket.listener = -1; /* taken over */
    if (http_service_open(listener, &settings, &gate->service, &why) == 0)
        return 0;
    log_event(LOG_ERR, "start-failed", "setting", gate->socket.setting, "value", gate->socket.name,
              "problem", why.text, (char *)NULL);
    return -1;
}

int doors_serve(struct doors *doors) {
    if (doors == NULL)
        return 0;
    json_wipe_freed();
    for (size_t i = 0; i < doors->n; i++)
        if (serve_gate(doors, &doors->gates[i]) != 0)
            return -1;
    return 0;
}

bool doors_are_ready(struct doors *doors, struct why *why) {
    if (doors == NULL || !workers_are_full(doors->workers))
        return true;
    why_set(why, "more logins wait at the doors than can be judged");
    return false;
}

void doors_close(struct doors *doors) {
    if (doors == NULL)
        return;
    for (size_t i = 0; i < doors->n; i++)
        http_service_close(doors->gates[i].service);
    workers_close(doors->workers);
    for (size_t i = 0; i < doors->n; i++)
        named_socket_close(&doors->gates[i].socket);
    free(doors->gates);
    free(doors);
}
