/*
 * The sockets of the doors, for doors.c alone.
 */
#ifndef GATEPOST_FILTER_DOORS_SOCKETS_H
#define GATEPOST_FILTER_DOORS_SOCKETS_H

#include "../privileges.h"

struct door_socket {
    const char *setting; /* the one that names it */
    char *name;          /* its value */
    int listener;        /* -1: not open, or given away */
    int made;            /* the unix socket's file (O_PATH); -1 for none */
};

/*
 * Opens the socket that `name`, a value of `setting`, stands for. Returns 0, or -1: logged as
 * event=start-failed. To be closed in both cases.
 */
int door_socket_open(const struct config *config, const char *setting, const char *name,
                     const struct privileges *privileges, struct door_socket *out);

/* Over TCP who asks is known by a token only. */
bool door_socket_is_tcp(const struct door_socket *socket);

/* Removes a unix socket's file, unless another one stands in its place by now. */
void door_socket_close(struct door_socket *socket);

#endif
