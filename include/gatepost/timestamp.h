/*
 * Points in time as operators write them: RFC 3339, in UTC. Pure.
 */
#ifndef GATEPOST_TIMESTAMP_H
#define GATEPOST_TIMESTAMP_H

#include <stddef.h>
#include <stdint.h>

/*
 * Parses `len` octets as YYYY-MM-DDTHH:MM:SSZ (RFC 3339 5.6, offset Z only; leap seconds are not
 * taken). Returns 0 and the seconds since the epoch, or -1 when it is no such time.
 */
int timestamp_parse(const char *text, size_t len, int64_t *seconds);

#endif
