/*
 * Points in time as operators write them: RFC 3339, in UTC. Pure.
 */
#ifndef GATEPOST_CORE_TIMESTAMP_H
#define GATEPOST_CORE_TIMESTAMP_H

#include <stddef.h>
#include <stdint.h>

/*
 * Parses `len` octets as YYYY-MM-DDTHH:MM:SSZ (RFC 3339 5.6, offset Z only; leap seconds are not
 * taken). Returns 0 and the seconds since the epoch, or -1 when it is no such time.
 */
int timestamp_parse(const char *text, size_t len, int64_t *seconds);

/* The text of a point in time, with its NUL. */
#define TIMESTAMP_SIZE 21

/*
 * Writes seconds since the epoch as timestamp_parse() reads them. Times outside the years 0001 to
 * 9999 become the first or last second of these. Returns `out`.
 */
const char *timestamp_format(int64_t seconds, char out[TIMESTAMP_SIZE]);

#endif
