/*
 * The ways of requests. Owns which paths there are, and in which order a request is checked: token,
 * path, method; who asks and about whom; whether another site has sent it; its media type; how
 * often. What is answered is the endpoints'.
 */
#include "router.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"
#include "openapi.h"
#include "precondition.h"
#include "visit.h"

#define ACCOUNTS "/v1/accounts/"
#define MERGE_PATCH "application/merge-patch+json"

enum resource { NOTHING, ACCOUNT, PASSWORDS, PASSWORD, OPENAPI, PAGE };

/* The parts of a path. */
struct target {
    enum resource resource;
    const char *account, *id;
    size_t account_len, id_len;
};

static const struct route {
    enum resource resource;
    const char *method; /* HEAD is as GET */
    const char *type;   /* of the body; NULL: it has none */
    bool own;           /* the user's own, and none of a panel's */
    visit_endpoint *endpoint;
} routes[] = {
    {ACCOUNT, "GET", NULL, false, visit_account},
    {ACCOUNT, "PATCH", MERGE_PATCH, false, visit_change},
    {PASSWORDS, "GET", NULL, true, visit_passwords},
    {PASSWORDS, "POST", JSON_TYPE, true, visit_new_password},
    {PASSWORD, "DELETE", NULL, true, visit_revoke_password},
    {OPENAPI, "GET", NULL, false, NULL},
    {PAGE, "GET", NULL, false, NULL},
};

static const char *const methods_of[] = {
    [ACCOUNT] = "GET, HEAD, PATCH", [PASSWORDS] = "GET, HEAD, POST",
    [PASSWORD] = "DELETE",          [OPENAPI] = "GET, HEAD",
    [PAGE] = "GET, HEAD",
};

/* /v1/accounts/ACCOUNT, .../passwords, .../passwords/ID */
static void read_account_path(const char *rest, struct target *out) {
    static const char passwords[] = "/passwords";
    out->account = rest;
    out->account_len = strcspn(rest, "/");
    rest += out->account_len;
    if (out->account_len == 0)
        return;
    if (*rest == '\0')
        out->resource = ACCOUNT;
    if (strncmp(rest, passwords, sizeof passwords - 1) != 0)
        return;
    rest += sizeof passwords - 1;
    if (*rest == '\0')
        out->resource = PASSWORDS;
    if (rest[0] == '/' && rest[1] != '\0' && strchr(rest + 1, '/') == NULL)
        *out =
            (struct target){PASSWORD, out->account, rest + 1, out->account_len, strlen(rest + 1)};
}

static struct target read_path(const struct router *router, const char *path) {
    struct page_file file;
    struct target target = {.resource = NOTHING};
    if (strncmp(path, ACCOUNTS, sizeof ACCOUNTS - 1) == 0)
        read_account_path(path + sizeof ACCOUNTS - 1, &target);
    else if (strcmp(path, "/v1/openapi.json") == 0)
        target.resource = OPENAPI;
    else if (page_find(router->page, path, NULL, &file))
        target.resource = PAGE;
    return target;
}

static const struct route *find_route(enum resource resource, const char *method) {
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (routes[i].resource == resource && strcmp(routes[i].method, method) == 0)
            return &routes[i];
    return NULL;
}

/* A refusal that an operator may have to find. */
static bool turn_away(const struct http_request *request, struct http_response *response,
                      unsigned status, const char *reason) {
    char text[16];
    const char *origin; /* who has set `origin` wrongly sees here what it should be */
    snprintf(text, sizeof text, "%u", status);
    if (http_request_field(request, "Origin", &origin) != 1)
        origin = NULL;
    log_event(LOG_WARNING, "settings-refused", "method", request->method, "path", request->path,
              "status", text, "problem", reason, "origin", origin, (char *)NULL);
    answer_refusal(response, status, NULL, reason);
    return false;
}

bool router_admit(void *context, const struct http_request *request,
                  struct http_response *response) {
    const struct target target = read_path(context, request->path);
    struct office *office = office_current();
    struct token_grant grant;
    bool known = office != NULL && caller_has_token(office->tokens, request, &grant);
    office_release(office);
    if (!known)
        return turn_away(request, response, office == NULL ? 503 : 403,
                         office == NULL ? "stopping: try again later"
                                        : "the token is missing or wrong");
    if (target.resource == NOTHING) {
        answer_refusal(response, 404, NULL, "there is nothing at this path");
        return false;
    }
    if (find_route(target.resource, request->method) != NULL)
        return true;
    answer_refusal(response, 405, NULL, "this path takes another method");
    http_response_field(response, "Allow", methods_of[target.resource]);
    return false;
}

void router_refuse(void *context, const struct http_request *request, enum http_refusal refusal,
                   struct http_response *response) {
    (void)context;
    if (refusal == HTTP_BUSY)
        turn_away(request, response, 503, "too many requests wait: try again in a moment");
    else
        turn_away(request, response, 413, "the body is larger than 64 KiB");
}

/* ---- on a worker ---- */

static bool is_write(const struct route *route) {
    return strcmp(route->method, "GET") != 0;
}

/* Whose changes are counted together: those from one address, of IPv6 from one /64; a panel's. */
static const char *rate_of(const struct caller *caller, char out[static IP_TEXT_SIZE]) {
    struct ip_address ip;
    const char *client = caller->client;
    if (caller->grant.domain != NULL || ip_parse(client, strlen(client), &ip) != 0)
        return caller->grant.domain != NULL ? "panel" : "";
    if (ip.family == IP_V6)
        memset(ip.bytes + 8, 0, 8);
    return ip_format(&ip, out);
}

/* May this be changed, by this request? False: it is answered. */
static bool check_write(struct visit *visit, const struct route *route, struct rate *rate) {
    struct why why;
    char client[IP_TEXT_SIZE];
    if (visit->caller->grant.domain != NULL && !visit->caller->grant.write)
        return turn_away(visit->request, visit->response, 403, "this token may only read");
    if (!precondition_same_site(visit->request, visit->config->settings.origin, &why))
        return turn_away(visit->request, visit->response, 403, why.text);
    if (route->type != NULL && !precondition_is_type(visit->request, route->type)) {
        why_set(&why, "the body must be %s", route->type);
        answer_refusal(visit->response, 415, NULL, why.text);
        http_response_field(visit->response,
                            strcmp(route->method, "PATCH") == 0 ? "Accept-Patch" : "Accept",
                            route->type);
        return false;
    }
    unsigned wait = rate_take(rate, visit->account, rate_of(visit->caller, client), clock_now_ms());
    if (wait == 0)
        return true;
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", wait);
    turn_away(visit->request, visit->response, 429,
              "too many changes of this account from your address: wait a moment");
    http_response_field(visit->response, "Retry-After", seconds);
    return false;
}

static void visit_desk(struct office *office, struct visit *visit, const struct route *route) {
    struct why why;
    visit->desk = office_take_desk(office, &why);
    if (visit->desk == NULL) {
        visit_unavailable(visit, why.text);
        return;
    }
    route->endpoint(visit);
    office_give_back(office, visit->desk);
}

/* Who asks, about whom, and then the endpoint. */
static void answer_for(struct office *office, struct visit *visit, const struct route *route,
                       const struct target *target, struct rate *rate, struct caller *caller) {
    struct why why;
    char *account = NULL, client[IP_TEXT_SIZE];
    unsigned status = caller_identify(office->config, office->tokens, visit->request, caller, &why);
    if (status == 0 && route->own && caller->self == NULL) {
        why_set(&why, "app passwords are none of a panel's business");
        status = 403;
    }
    if (status == 0)
        status = caller_account(caller, office->config, target->account, target->account_len,
                                &account, &why);
    visit->caller = caller;
    visit->account = account;
    if (status != 0)
        turn_away(visit->request, visit->response, status, why.text);
    else if (!is_write(route) || check_write(visit, route, rate))
        visit_desk(office, visit, route);
    if (visit->n_changed > 1) /* each has an entry in the history, which all users share */
        rate_spend(rate, account, rate_of(caller, client), visit->n_changed - 1, clock_now_ms());
    free(account);
    caller_clear(caller);
}

/* The page in the language that the browser prefers. */
static void answer_page(const struct page *page, const struct http_request *request,
                        struct http_response *response) {
    const char *languages;
    struct page_file file;
    if (http_request_field(request, "Accept-Language", &languages) != 1)
        languages = NULL;
    page_find(page, request->path, languages, &file);
    answer_octets(response, 200, file.type, file.body, file.len);
    if (file.language == NULL)
        return;
    http_response_field(response, "Content-Language", file.language);
    http_response_field(response, "Vary", "Accept-Language");
}

/* A wait of milliseconds that begins within a second, and ends with one: never too short. */
static int64_t seconds_until(const struct timespec *now, int64_t wait) {
    int64_t part = now->tv_nsec / 1000000 + 1;
    return wait == 0 ? 0 : (part + wait + 999) / 1000;
}

void router_answer(void *context, const struct http_request *request,
                   struct http_response *response) {
    const struct router *router = context;
    const struct target target = read_path(router, request->path);
    const struct route *route = find_route(target.resource, request->method);
    struct office *office = office_current();
    struct caller caller;
    struct timespec now;
    if (office == NULL) {
        answer_refusal(response, 503, NULL, "stopping: try again later");
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    struct visit visit = {.request = request,
                          .response = response,
                          .config = office->config,
                          .id = target.id,
                          .id_len = target.id_len,
                          .now = (int64_t)now.tv_sec,
                          .loosen_after =
                              seconds_until(&now, office->config->settings.loosen_after)};
    if (request->query[0] != '\0')
        answer_refusal(response, 400, NULL, "there are no parameters here");
    else if (target.resource == OPENAPI)
        answer_octets(response, 200, JSON_TYPE, openapi_text, strlen(openapi_text));
    else if (target.resource == PAGE)
        answer_page(router->page, request, response);
    else
        answer_for(office, &visit, route, &target, router->rate, &caller);
    office_release(office);
}
