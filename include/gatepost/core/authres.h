/*
 * The header fields that carry an SPF result: Authentication-Results (RFC 8601) and Received-SPF
 * (RFC 7208 9.1). Pure; texts go into buffers of the caller's.
 */
#ifndef GATEPOST_CORE_AUTHRES_H
#define GATEPOST_CORE_AUTHRES_H

#include "gatepost/core/decision.h"
#include "gatepost/core/textbuf.h"

/*
 * Octets that any of the two fields needs at most, the terminating NUL included. No line is longer
 * than 998 octets (RFC 5322 2.1.1): a longer field is folded by "\n ". What finds no room even so
 * is cut: a sender to its domain, other texts to their end, with three dots before it.
 */
#define AUTHRES_SIZE 6000

/* What the two fields say. Texts may hold any octets. */
struct spf_evidence {
    enum spf_identity identity;
    enum spf_result result;
    const char *sender;   /* the reverse-path without angle brackets; "" for the null sender */
    const char *helo;     /* NULL when the client gave none */
    const char *client;   /* the client's IP address */
    const char *receiver; /* our authserv-id */
};

/* Writes the value of an Authentication-Results field to an empty text. */
void authres_put(struct textbuf *buf, const struct spf_evidence *evidence);

/* Writes the value of a Received-SPF field likewise. */
void received_spf_put(struct textbuf *buf, const struct spf_evidence *evidence);

#endif
