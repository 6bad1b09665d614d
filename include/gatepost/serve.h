/*
 * The running filter: from the first session to the last.
 */
#ifndef GATEPOST_SERVE_H
#define GATEPOST_SERVE_H

#include "gatepost/runtime.h"

/* How long a stop waits for messages under way, in milliseconds. */
#define SERVE_DRAIN 10000

/* Signals that the filter acts on are kept from every thread that is started from now on. */
void serve_block_signals(void);

/*
 * Serves with the runtime, whose reference it takes over, until SIGTERM or SIGINT; SIGHUP and
 * SIGUSR1 reload. The socket is open already. To be called by the first thread of the process.
 * Returns 0, or -1 when libmilter failed, which is logged.
 */
int serve(struct runtime *runtime);

#endif
