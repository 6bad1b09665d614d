/*
 * Where the filter shall listen: whether it can, before it does. The same words for a start and for
 * `gatepost -t`.
 */
#ifndef GATEPOST_FILTER_PLACE_H
#define GATEPOST_FILTER_PLACE_H

#include <netdb.h>
#include <stdbool.h>

#include "gatepost/core/why.h"

/*
 * The addresses of inet:PORT, inet:PORT@HOST or inet6:..., to listen on or to connect to. Returns
 * as getaddrinfo(3), whose list it is.
 */
int place_resolve(const char *socket, bool to_listen, struct addrinfo **out);

/*
 * Can the socket inet:PORT, inet:PORT@HOST or inet6:... be opened now? One that a process named
 * gatepost holds is fine: it is this filter, which runs. Returns 0, or -1 with the reason.
 */
int place_try_inet(const char *socket, struct why *why);

/* The same of an ADDRESS:PORT. */
int place_try_address(const char *address, struct why *why);

#endif
