/*
 * SPF macros (RFC 7208 7): the check of a macro-string and its expansion.
 *
 * Pure. Texts go into buffers of the caller's.
 */
#ifndef GATEPOST_SPF_MACRO_H
#define GATEPOST_SPF_MACRO_H

#include "gatepost/core/netblock.h"
#include "gatepost/core/textbuf.h"
#include "gatepost/core/why.h"

/* The longest domain name in text form (RFC 7208 7.3), without the terminating NUL. */
#define SPF_DOMAIN_MAX 253

/*
 * Is it a macro-string? `explanation` allows the letters c, r and t and the space. Returns 0, or
 * -1 with the reason and, in *at, the place of the error.
 */
int spf_macro_check(const char *text, size_t len, bool explanation, size_t *at, struct why *why);

/*
 * Is it a domain-spec: a macro-string that ends in a top label or in a macro (RFC 7208 7.1)?
 * Returns as spf_macro_check().
 */
int spf_domain_spec_check(const char *text, size_t len, size_t *at, struct why *why);

/* Does the macro-string use %{p}, for which the caller must validate the client's name first? */
bool spf_macro_wants_name(const char *text);

/*
 * How many parts of the client's address - numbers of IPv4, hexadecimal digits of IPv6 - a
 * macro-string that has been checked tells at the most: 0 without %{i}.
 */
unsigned spf_macro_address_parts(const char *text);

struct spf_macro_values {
    struct ip_address client;
    const char *local, *sender_domain; /* of the sender: l, o, and s together */
    const char *helo;                  /* h */
    const char *domain;                /* d: the current domain */
    const char *name;                  /* p: the validated name, or "unknown" */
    const char *receiver;              /* r: our name, or "unknown" */
    int64_t now;                       /* t: seconds since the epoch */
};

/* Appends the expansion of a macro-string that has been checked. */
void spf_macro_expand(struct textbuf *buf, const char *text, const struct spf_macro_values *values);

/*
 * Expands a checked domain-spec into `out`: cut on the left, at a dot, to SPF_DOMAIN_MAX octets;
 * without a dot at its end. Returns 0, or -1 when what comes out is no domain name that could be
 * looked up (an empty or over-long label, nothing at all).
 */
int spf_domain_expand(const char *text, const struct spf_macro_values *values,
                      char out[SPF_DOMAIN_MAX + 1]);

#endif
