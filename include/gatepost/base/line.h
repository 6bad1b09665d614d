/*
 * Lines of bounded length, from streams that a stranger may have written.
 */
#ifndef GATEPOST_BASE_LINE_H
#define GATEPOST_BASE_LINE_H

#include <stdio.h>
#include <sys/types.h>

#include "gatepost/core/policy_line.h"

/* The longest line, its end included: any fact that fits an account fits it. */
#define LINE_LONGEST POLICY_LINE_LONGEST
#define LINE_TOO_LONG (-2)

/*
 * As getline(3): returns the length, and -1 at the end, after a failure or without memory
 * (see feof(); errno). But LINE_TOO_LONG as soon as a line has more than LINE_LONGEST octets; what
 * follows is its rest. *line is to be freed by the caller in every case.
 */
ssize_t line_read(FILE *from, char **line, size_t *room);

#endif
