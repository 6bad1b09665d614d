/*
 * IP addresses and CIDR blocks: parsing and matching, nothing else.
 *
 * All values are plain data owned by the caller; every function is pure, allocates nothing and
 * may be called from any thread. IPv4-mapped IPv6 (::ffff:a.b.c.d, RFC 4291 2.5.5.2) is folded
 * to IPv4 on the way in, so that one client has one form.
 */
#ifndef GATEPOST_CORE_NETBLOCK_H
#define GATEPOST_CORE_NETBLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatepost/core/why.h"

/* The longest text of an address: an IPv6 address with an embedded IPv4 one, and the NUL. */
#define IP_TEXT_SIZE 46

enum ip_family { IP_NONE = 0, IP_V4 = 4, IP_V6 = 6 };

struct ip_address {
    uint8_t family;    /* an ip_family; IP_NONE when there is no address */
    uint8_t bytes[16]; /* network order; an IPv4 address uses the first four */
};

struct netblock {
    struct ip_address base; /* host bits cleared */
    uint8_t prefix;         /* 0..32 for IPv4, 0..128 for IPv6 */
    bool host_bits;         /* the text had host bits set: matched as the enclosing block */
};

/* Builds an address from 4 (IP_V4) or 16 (IP_V6) octets in network order. */
struct ip_address ip_from_bytes(enum ip_family family, const uint8_t *bytes);

/*
 * Parses `len` octets of text as an address. A leading "IPv6:" (RFC 5321 4.1.3, any case) is
 * taken. Returns 0, or -1 when it is no address (*out is then undefined).
 */
int ip_parse(const char *text, size_t len, struct ip_address *out);

/* Writes the address in its usual form; IP_NONE gives an empty string. Returns `out`. */
const char *ip_format(const struct ip_address *ip, char out[IP_TEXT_SIZE]);

/*
 * Parses `len` octets as ADDRESS or ADDRESS/PREFIX. Returns 0, or -1 with a one-line reason that
 * names what is wrong in `why`.
 */
int netblock_parse(const char *text, size_t len, struct netblock *out, struct why *why);

/* Room for the text of a block, the NUL included. */
#define NETBLOCK_TEXT_SIZE (IP_TEXT_SIZE + 4)

/* Writes the block in its usual form, a single address without "/32" or "/128". Returns `out`. */
const char *netblock_format(const struct netblock *block, char out[NETBLOCK_TEXT_SIZE]);

/* Is the address inside the block? An address of the other family, or IP_NONE, is not. */
bool netblock_contains(const struct netblock *block, const struct ip_address *ip);

/* Clears the bits of `ip` after `prefix`; returns true if any was set. */
bool ip_mask(struct ip_address *ip, unsigned prefix);

#endif
