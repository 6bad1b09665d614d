/*
 * An HTTP server for a few paths, on libmicrohttpd: it owns who may stay connected and for how
 * long, and which requests come through at all; what is answered is the caller's.
 *
 * It has one thread of its own. A client that is slow, silent, or takes no answer never keeps
 * another one out: the connection that has waited longest is cut when there are too many, and each
 * request has a deadline. A Host that is neither an address nor a name of this host is refused
 * (421), so that no web page reaches the server through a name that its author lets point here.
 */
#ifndef GATEPOST_BASE_HTTP_SERVER_H
#define GATEPOST_BASE_HTTP_SERVER_H

#include <stddef.h>
#include <sys/socket.h>

#include "gatepost/core/why.h"

/* What a request is answered with. */
struct http_answer {
    unsigned status;
    const char *type; /* the media type; lasts until the server is closed */
    char *body;       /* from malloc(3), taken over; NULL: no memory, the connection is cut */
    size_t len;
};

/*
 * Answers a GET (or HEAD, whose body the server leaves out) of a path. On the server's thread; must
 * not wait for a client.
 */
typedef struct http_answer http_handler(void *context, const char *path);

struct http_server;

/*
 * Listens on an address. Returns 0 and the server, to be closed by the caller, or -1 with the
 * reason. `context` must outlive it.
 */
int http_server_open(const struct sockaddr *address, http_handler *handler, void *context,
                     struct http_server **out, struct why *why);

/* Waits for the answer in progress; NULL is fine. */
void http_server_close(struct http_server *server);

/* An answer of one line of text. */
struct http_answer http_line(unsigned status, const char *line);

#endif
