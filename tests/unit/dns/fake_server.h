/*
 * A name server in a thread of the test, on loopback, UDP and TCP: what it does with a question is
 * the test's function.
 */
#ifndef GATEPOST_TESTS_UNIT_DNS_FAKE_SERVER_H
#define GATEPOST_TESTS_UNIT_DNS_FAKE_SERVER_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define FAKE_PACKET 700

struct fake_server;

struct fake_query {
    struct fake_server *server;
    unsigned char packet[FAKE_PACKET];
    size_t len, question_end;
    bool over_tcp, edns;
    unsigned number; /* 1 for the first that came, by its way */
    int fd;
    struct sockaddr_in peer;
};

typedef void fake_behaviour(struct fake_query *query);

struct fake_server {
    _Atomic(fake_behaviour *) behave; /* may be changed while it runs */
    char text[40];                    /* "ADDRESS:PORT" */
    atomic_uint asked, asked_tcp;
    atomic_bool ending;
    int udp, tcp;
    pthread_t thread;
};

/* With behave NULL nothing listens at its port. */
void fake_server_start(struct fake_server *server, fake_behaviour *behave);
void fake_server_stop(struct fake_server *server);

/*
 * A response to the query, with as many TXT records "v=spf1 -all" as `records` says, and this
 * rcode. Its length.
 */
size_t fake_response(const struct fake_query *query, unsigned rcode, unsigned records,
                     unsigned char out[FAKE_PACKET]);

/* Sends a packet to who asked; over TCP with its length before it. */
void fake_send(const struct fake_query *query, const unsigned char *packet, size_t len);

/* Behaviours. */
void fake_good(struct fake_query *query);
void fake_silent(struct fake_query *query);
void fake_servfail(struct fake_query *query);

#endif
