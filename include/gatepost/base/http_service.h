/*
 * An HTTP service whose answers may take a while: requests with bodies, on a socket that is open
 * already. What is answered is the caller's; what comes through is this module's: whole requests
 * of at most HTTP_BODY_MAX octets of body, each within a deadline. It believes no Host.
 *
 * A thread of its own talks to the clients and never waits for one of them; the answers are made
 * by workers, which may wait.
 */
#ifndef GATEPOST_BASE_HTTP_SERVICE_H
#define GATEPOST_BASE_HTTP_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "gatepost/base/http_request.h"
#include "gatepost/base/workers.h"
#include "gatepost/core/why.h"

#define HTTP_BODY_MAX (64 * 1024)

/* The answer to a request, made by the functions below. */
struct http_response;

/* Begins it anew, with its status and its body, whose octets are copied. */
void http_response_begin(struct http_response *response, unsigned status, const char *type,
                         const char *body, size_t len);

/* Adds a field. An empty value is left out: libmicrohttpd sends none. */
void http_response_field(struct http_response *response, const char *name, const char *value);

enum http_refusal {
    HTTP_TOO_LARGE, /* the body */
    HTTP_BUSY       /* as many requests wait as may, or their bodies take too much memory */
};

struct http_service_settings {
    struct workers *workers;
    unsigned connections; /* about so many may stay; a newcomer takes the place of an idle one */
    bool secret;          /* requests hold passwords: they are wiped from memory */
    /*
     * When the header is here, on the service's thread: true when the request shall be answered by
     * `answer`, false when the response is made already. Must not wait.
     */
    bool (*admit)(void *context, const struct http_request *request,
                  struct http_response *response);
    /* On a worker; may wait. */
    void (*answer)(void *context, const struct http_request *request,
                   struct http_response *response);
    /* On the service's thread: what an admitted request gets that cannot be answered. */
    void (*refuse)(void *context, const struct http_request *request, enum http_refusal refusal,
                   struct http_response *response);
    void *context;
};

struct http_service;

/*
 * Serves on a socket that listens, which it takes over, also when it fails. Returns 0 and the
 * service, to be closed by the caller before its workers, or -1 with the reason.
 */
int http_service_open(int listener, const struct http_service_settings *settings,
                      struct http_service **out, struct why *why);

/*
 * Takes no more connections, answers the requests that are being made or judged, for some two
 * seconds at most where their clients are slow, and closes. NULL is fine.
 */
void http_service_close(struct http_service *service);

#endif
