/*
 * The token of clients that come by TCP, for doors.c alone; doors_read_token() reads it.
 */
#ifndef GATEPOST_FILTER_DOORS_TOKEN_H
#define GATEPOST_FILTER_DOORS_TOKEN_H

#include <stdbool.h>

/* Is this the token? In a time that does not depend on where it differs. Any thread. */
bool token_matches(const char *given);

#endif
