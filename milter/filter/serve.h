/*
 * The running filter: from the first session to the last.
 */
#ifndef GATEPOST_FILTER_SERVE_H
#define GATEPOST_FILTER_SERVE_H

#include "doors/doors.h"
#include "gatepost/session/runtime.h"

/* How long a stop waits for messages in progress, in milliseconds. */
#define SERVE_DRAIN 10000

/*
 * For every thread that is started from now on: signals that the filter acts on are kept from it,
 * and its stack is small, so that making and ending it costs less.
 */
void serve_prepare_threads(void);

/*
 * Serves with the runtime, whose reference it takes over, and the doors, which it closes, until
 * SIGTERM or SIGINT; SIGHUP and SIGUSR1 reload. The socket is open already. To be called by the
 * first thread of the process. Returns 0, or -1 when libmilter failed, which is logged.
 */
int serve(struct runtime *runtime, struct doors *doors);

#endif
