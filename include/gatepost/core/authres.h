/*
 * The header fields that carry an SPF result: Authentication-Results (RFC 8601) and Received-SPF
 * (RFC 7208 9.1), and the recognition of Authentication-Results that somebody else wrote in our
 * name. Pure; texts go into buffers of the caller's.
 */
#ifndef GATEPOST_CORE_AUTHRES_H
#define GATEPOST_CORE_AUTHRES_H

#include "gatepost/core/decision.h"
#include "gatepost/core/textbuf.h"

/* What the two fields tell. Texts may hold any octets. */
struct spf_evidence {
    enum spf_identity identity;
    enum spf_result result;
    const char *sender;   /* the reverse-path without angle brackets; "" for the null sender */
    const char *helo;     /* NULL when the client gave none */
    const char *client;   /* the client's IP address */
    const char *receiver; /* our authserv-id */
};

/* Appends the value of an Authentication-Results field. */
void authres_put(struct textbuf *buf, const struct spf_evidence *evidence);

/* Appends the value of a Received-SPF field. */
void received_spf_put(struct textbuf *buf, const struct spf_evidence *evidence);

/*
 * Does the value of an Authentication-Results field claim to be from `authserv_id`? Comments,
 * folding, quoting, letter case and a version number (RFC 8601 2.2) make no difference.
 */
bool authres_claims(const char *value, const char *authserv_id);

#endif
