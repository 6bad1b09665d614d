/*
 * Sockets that listen. The descriptor is the caller's, does not block and is closed by exec.
 */
#ifndef GATEPOST_BASE_LISTENING_H
#define GATEPOST_BASE_LISTENING_H

#include <sys/socket.h>
#include <sys/types.h>

#include "gatepost/core/why.h"

/* A socket that listens on an address of IPv4 or IPv6, or -1 with the reason. */
int listening_tcp(const struct sockaddr *address, struct why *why);

/*
 * One that listens on a path, made with its mode, so that nobody connects before; nothing may
 * stand there. Changes the process's umask for a moment: before there are other threads. Returns
 * the descriptor, or -1 with the reason.
 */
int listening_unix(const char *path, mode_t mode, struct why *why);

#endif
