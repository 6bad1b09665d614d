/*
 * A request by HTTP: its fields; its target; its query, NAME=VALUE&NAME=VALUE; and percent-encoding
 * (RFC 3986 2.1), strictly: what is no encoding, and an encoded NUL, is refused. A '+' stands for
 * itself, as in an address with an extension.
 */
#ifndef GATEPOST_BASE_HTTP_REQUEST_H
#define GATEPOST_BASE_HTTP_REQUEST_H

#include <stddef.h>

struct http_field {
    const char *name, *value;
};

/* A request; its texts last until it has been answered. */
struct http_request {
    const char *method;
    const char *path;  /* of the target, without scheme, host and query; not decoded */
    const char *query; /* what follows the '?', not decoded; "" for none */
    const struct http_field *fields;
    size_t n_fields;
    const char *body; /* not terminated; NULL while only the header is known, or for none */
    size_t body_len;
};

/* The field's value: 1, 0 when it is absent, -1 when it is there more than once. */
int http_request_field(const struct http_request *request, const char *name, const char **value);

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
