/*
 * One question put to the name servers, until one of them answers it or the time is over.
 */
#ifndef GATEPOST_DNS_EXCHANGE_H
#define GATEPOST_DNS_EXCHANGE_H

#include "gatepost/dns/dns.h"
#include "question.h"
#include "servers.h"

enum dns_exchange_end {
    EXCHANGE_ANSWERED,
    EXCHANGE_LATE,     /* no answer by the deadline */
    EXCHANGE_ERROR,    /* every server has said that it cannot answer */
    EXCHANGE_UNREACHED /* no server can be reached */
};

struct dns_exchange_result {
    enum dns_exchange_end end;
    char problem[80]; /* of all but EXCHANGE_ANSWERED */
    /* Of EXCHANGE_ANSWERED, as in struct dns_reading. */
    struct dns_answer *answer;
    uint32_t ttl;
};

/*
 * Asks over UDP, and over TCP where the answer does not fit; blocks until `deadline`
 * (clock_now_ms()) at the latest. Only what answers the question, comes from the server's address
 * and port and can be read is an answer: everything else is passed over. A server that says nothing
 * is not waited for before the next one is asked, but listened to until the end.
 */
void dns_exchange(struct dns_servers *servers, const struct dns_question *question,
                  int64_t deadline, struct dns_exchange_result *out);

#endif
