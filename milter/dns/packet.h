/*
 * DNS answers as they come from the wire (RFC 1035).
 */
#ifndef GATEPOST_DNS_PACKET_H
#define GATEPOST_DNS_PACKET_H

#include "gatepost/dns/dns.h"
#include "question.h"

/* A new empty answer with one reference; NULL when there is no memory. */
struct dns_answer *dns_answer_new(enum dns_status status, const char *why);

enum dns_reading_kind {
    READING_FOREIGN,   /* it does not answer the question: a stray or forged packet */
    READING_MALFORMED, /* it seems to, but cannot be read */
    READING_TRUNCATED, /* it did not fit into a UDP packet; what there is of it is not read */
    READING_ERROR,     /* the server cannot answer; the reason is in `problem` */
    READING_ANSWER     /* `answer` has what was asked for, or says that it does not exist */
};

struct dns_reading {
    enum dns_reading_kind kind;
    unsigned rcode; /* of READING_ERROR */
    char problem[60];
    /* Of READING_ANSWER: found or absent, with one reference; NULL when there is no memory. */
    struct dns_answer *answer;
    uint32_t ttl; /* seconds that it may be kept: of an absence the SOA's (RFC 2308 5), or 0 */
};

/*
 * Reads what a server sent, as the answer to a question that was sent with this id. Records are
 * those of the name asked for, or of what its CNAMEs lead to; NXDOMAIN has none, whatever comes
 * with it. Names and texts with a NUL octet are kept whole or left out, never cut.
 */
void dns_packet_read(const struct dns_question *question, uint16_t id, const unsigned char *packet,
                     size_t len, struct dns_reading *out);

#endif
