/*
 * The doors that other programs ask by HTTP: who may come in at Dovecot, or behind a reverse proxy.
 * They read policy and change nothing. DESIGN: requests are answered from the runtime that is
 * current when they come; the sockets are those of the start.
 */
#ifndef GATEPOST_FILTER_DOORS_H
#define GATEPOST_FILTER_DOORS_H

#include "../privileges.h"
#include "gatepost/session/runtime.h"

struct doors;

/*
 * Opens the sockets of doors_listen and passwords_listen, with their mode and group, for the user
 * that the process is going to be. Before there are other threads. Returns 0 and the doors, NULL
 * when none is configured, or -1: logged as event=start-failed.
 */
int doors_listen(const struct config *config, const struct privileges *privileges,
                 struct doors **out);

/*
 * Begins to answer, each request with the runtime that runtime_current() gives then. The token has
 * been read. Returns 0, or -1 when there is no memory or thread for it, which is logged. NULL is
 * fine.
 */
int doors_serve(struct doors *doors);

/* Can they answer now? If not the reason is in `why`, which is left alone otherwise. NULL can. */
bool doors_are_ready(struct doors *doors, struct why *why);

/* Answers the requests in progress, for a while, and closes. NULL is fine. */
void doors_close(struct doors *doors);

/*
 * Reads the token of doors_token_file, which takes the place of the one before. Returns 0, also
 * when none is configured, or -1 with the reason, and the one before stays. Any thread.
 */
int doors_read_token(const struct config *config, struct why *why);

#endif
