/*
 * Who listens on a TCP port of this host, as far as /proc tells.
 */
#ifndef GATEPOST_FILTER_HOLDER_H
#define GATEPOST_FILTER_HOLDER_H

#include <stdbool.h>
#include <sys/socket.h>

/*
 * Does another process named gatepost listen on the port of `address`? Also true where there is
 * such a process and its descriptors are not to be seen.
 */
bool holder_is_filter(const struct sockaddr *address);

#endif
