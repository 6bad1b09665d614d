/*
 * The filter's socket as the configuration names it, from the other side.
 */
#ifndef GATEPOST_DIAL_H
#define GATEPOST_DIAL_H

#include "gatepost/config.h"

/* The path of a unix socket, or NULL when the configured one is none. */
const char *dial_path(const struct config *config);

/* Connects to the configured unix socket; a file descriptor, or -1 with errno. */
int dial_filter(const struct config *config);

#endif
