/*
 * The target of a request; its query, NAME=VALUE&NAME=VALUE; and percent-encoding (RFC 3986 2.1),
 * strictly: what is no encoding, and an encoded NUL, is refused. A '+' stands for itself, as in an
 * address with an extension.
 */
#ifndef GATEPOST_BASE_HTTP_QUERY_H
#define GATEPOST_BASE_HTTP_QUERY_H

#include <stddef.h>

/*
 * Splits a target in place: the path, without scheme and host where it names them (RFC 9112 3.2.2),
 * and the query, "" where there is none. Both are inside of it.
 */
void http_target_split(char *target, const char **path, const char **query);

/*
 * Decodes `len` octets into `out`, of `size` octets, which ends in a NUL. Returns 0, or -1 when
 * they are not well encoded or do not fit.
 */
int percent_decode(const char *text, size_t len, char *out, size_t size);

/* A member that the caller expects, and the memory for its value. */
struct http_member {
    const char *name;
    char *value;
    size_t size;
    int found; /* once it is 1 */
};

/*
 * Reads a query into its members. Returns 0, or -1 when there is another member, one twice, one
 * without a value, or one that is not well encoded or too long. The empty query has no member.
 */
int http_query_read(const char *query, struct http_member *members, size_t n);

#endif
