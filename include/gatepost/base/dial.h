/*
 * The filter's socket from the other side; `name` is its setting `socket`, or one of the doors'.
 */
#ifndef GATEPOST_BASE_DIAL_H
#define GATEPOST_BASE_DIAL_H

/* The path of a unix socket, inside `name`, or NULL when it is none. */
const char *dial_path(const char *name);

/* Connects to a unix socket; a file descriptor, or -1 with errno. */
int dial_filter(const char *name);

#endif
