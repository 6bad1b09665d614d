/*
 * DNS answers as they come from the wire (RFC 1035).
 */
#ifndef GATEPOST_DNS_PACKET_H
#define GATEPOST_DNS_PACKET_H

#include "gatepost/dns/dns.h"

/* A new empty answer with one reference; NULL when there is no memory. */
struct dns_answer *dns_answer_new(enum dns_status status, const char *why);

/*
 * Takes the records of `type` out of an answer packet: those of the name asked for, or of what its
 * CNAMEs lead to; records of other names are not looked at. Names and texts with a NUL octet are
 * kept whole or left out, never cut. Returns an answer with one reference, DNS_ABSENT when there
 * are none, DNS_FAILED when the packet cannot be read; NULL when there is no memory. `*ttl` is the
 * time in seconds that it may be kept: of an absence the SOA's (RFC 2308 5), 0 without one.
 */
struct dns_answer *dns_packet_read(const unsigned char *packet, int len, enum dns_type type,
                                   uint32_t *ttl);

#endif
