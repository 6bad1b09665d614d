/*
 * Sockets that listen where the configuration says: unix:/PATH, or ADDRESS:PORT.
 */
#ifndef GATEPOST_BASE_NAMED_SOCKET_H
#define GATEPOST_BASE_NAMED_SOCKET_H

#include <stdbool.h>

#include "gatepost/base/unix_place.h"

struct named_socket {
    const char *setting; /* the one that names it */
    char *name;          /* its value */
    int listener;        /* -1: not open, or given away */
    int made;            /* the unix socket's file (O_PATH); -1 for none */
    bool stays;          /* its file is not removed in the end; false at first */
};

/*
 * Opens the socket that place->value stands for; `mode`, and all else of the place, is a unix
 * socket's. Returns 0, or -1: logged as event=start-failed. To be closed in both cases.
 */
int named_socket_open(const struct unix_place *place, mode_t mode, struct named_socket *out);

/* Over TCP who asks is known by a token only. */
bool named_socket_is_tcp(const struct named_socket *socket);

/* Removes a unix socket's file, unless it stays or another one stands in its place by now. */
void named_socket_close(struct named_socket *socket);

#endif
