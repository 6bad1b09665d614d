/*
 * The filter's socket, and whom it belongs to.
 */
#ifndef GATEPOST_FILTER_SOCKET_H
#define GATEPOST_FILTER_SOCKET_H

#include "privileges.h"

/*
 * Opens the configured socket for libmilter, with its mode and group, for the user that the process
 * is going to be. Returns 0, or -1: logged as event=start-failed. Once, before any thread. It is
 * this socket that the others mean, whatever a later configuration says.
 */
int filter_socket_open(const struct config *config, const struct privileges *privileges);

/* Nobody but the filter's own user comes in by a unix socket any more. */
void filter_socket_close(void);

/* Makes libmilter look up from its wait for a connection. */
void filter_socket_wake(void);

#endif
