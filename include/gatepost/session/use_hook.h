/*
 * Who hears of each login that was let in with a password that somebody has verified: at the MTA,
 * which does so before MAIL, and at a door whose peer says so.
 */
#ifndef GATEPOST_SESSION_USE_HOOK_H
#define GATEPOST_SESSION_USE_HOOK_H

#include "gatepost/core/netblock.h"

/* Is called on the thread of the verdict and must not wait. Texts last until it returns. */
typedef void session_use(const char *account, const char *service, const struct ip_address *client);

/* From now on `hear` hears of them; NULL, as at first: nobody does. Before there are threads. */
void session_hear_of_use(session_use *hear);

/* For session/ alone: tells whoever hears of it. */
void session_tell_use(const char *account, const char *service, const struct ip_address *client);

#endif
