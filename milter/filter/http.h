/*
 * What the filter serves by HTTP: /metrics, /healthz, /readyz and /status. It changes nothing.
 */
#ifndef GATEPOST_FILTER_HTTP_H
#define GATEPOST_FILTER_HTTP_H

#include "doors/doors.h"
#include "gatepost/core/why.h"
#include "gatepost/session/runtime.h"

struct http;

/* The runtime to speak of: a reference, or NULL. Called on http's thread. */
typedef struct runtime *http_runtime(void);

/*
 * Listens on `listen`, ADDRESS:PORT or [ADDRESS]:PORT, with a thread of its own; /readyz speaks of
 * the doors as well (NULL for none), which must outlive it. Returns 0 and the server, owned by the
 * caller, or -1 with the reason.
 */
int http_open(const char *listen, http_runtime *runtime, struct doors *doors, struct http **out,
              struct why *why);

/* The end has begun: /readyz says so from now on. NULL is fine. */
void http_stopping(struct http *http);

/* Answers no more when it returns. */
void http_close(struct http *http);

#endif
