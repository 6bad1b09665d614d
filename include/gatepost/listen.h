/*
 * The filter's socket, and whom it belongs to.
 */
#ifndef GATEPOST_LISTEN_H
#define GATEPOST_LISTEN_H

#include "gatepost/config.h"

/*
 * Opens the configured socket for libmilter, with its mode and group, and then becomes the
 * configured user for good. Returns 0, or -1: logged as event=start-failed. Once, before any
 * thread. It is this socket that the others mean, whatever a later configuration says.
 */
int listen_open(const struct config *config);

/* Nobody but the filter's own user comes in by a unix socket any more. */
void listen_close(void);

/* Makes libmilter look up from its wait for a connection. */
void listen_wake(void);

#endif
