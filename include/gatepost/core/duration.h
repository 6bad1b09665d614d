/*
 * A length of time as it is written in the configuration and on the command line. Pure.
 */
#ifndef GATEPOST_CORE_DURATION_H
#define GATEPOST_CORE_DURATION_H

#include <stdint.h>

/*
 * A whole number followed by ms, s, m, h, d or w (weeks). Returns 0 and milliseconds, or -1 for
 * anything else and for more than 64 bits hold.
 */
int duration_parse(const char *text, int64_t *milliseconds);

#endif
