/*
 * A DNS question on the wire (RFC 1035 4.1), and whether a packet answers it.
 *
 * A question belongs to one thread.
 */
#ifndef GATEPOST_DNS_QUESTION_H
#define GATEPOST_DNS_QUESTION_H

#include <stdbool.h>

#include "gatepost/dns/dns.h"

#define DNS_HEADER_SIZE 12
#define DNS_WIRE_NAME_MAX 255
#define DNS_OPT_SIZE 11

/* The largest answer over UDP that is asked for (RFC 6891): it fits in one packet of any network.
 */
#define DNS_UDP_PAYLOAD 1232

/* The longest question. */
#define DNS_QUESTION_SIZE (DNS_HEADER_SIZE + DNS_WIRE_NAME_MAX + 4 + DNS_OPT_SIZE)

struct dns_question {
    enum dns_type type;
    size_t end;                            /* of the question section */
    unsigned char wire[DNS_QUESTION_SIZE]; /* its id is 0, and there is no OPT record */
};

/*
 * Writes a question for `name`, whose octets are as they are, with dots between labels and perhaps
 * one at its end. Every octet but these dots is part of a label. Returns 0, or -1 for what is no
 * name: an empty label, or one or all of them too long.
 */
int dns_question_write(const char *name, enum dns_type type, struct dns_question *out);

/* A copy of the question to be sent: with this id, and with EDNS0 or without. Returns its length.
 */
size_t dns_question_put(const struct dns_question *question, uint16_t id, bool edns,
                        unsigned char out[DNS_QUESTION_SIZE]);

/*
 * Is the packet a response to the question that was sent with this id? The letter case of the name
 * does not matter (RFC 4343), everything else must be the same. Says nothing of what comes after
 * the question.
 */
bool dns_question_answered(const struct dns_question *question, uint16_t id,
                           const unsigned char *packet, size_t len);

#endif
