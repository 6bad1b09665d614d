#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum load_outcome { LOAD_ACCEPT, LOAD_CONTINUE, LOAD_REJECT, LOAD_TEMPFAIL, LOAD_DISCARD };
#define LOAD_OUTCOMES 5

/* "accept", "continue", ...: as --expect takes them and the report prints them. */
extern const char *const load_outcome_names[LOAD_OUTCOMES];

/* The command line, checked. The texts belong to argv. */
struct load_options {
    struct sockaddr_storage address; /* of the filter */
    socklen_t address_length;
    unsigned connections;
    unsigned idle;
    uint64_t sessions; /* 0: until `seconds` have passed */
    double seconds;    /* 0: until `sessions` have ended */
    double time_limit; /* seconds; for everything, always set */
    int client_family; /* AF_INET, AF_INET6 */
    unsigned char client[16];
    uint32_t client_count;
    uint32_t sender_count;
    bool random; /* draws senders at random, the same ones for the same seed */
    uint64_t seed;
    const char *helo;
    const char *sender;
    const char *login; /* NULL: not logged in */
    const char *daemon_name;
    const char *daemon_port; /* NULL: the MTA does not send it unasked */
    bool queue_id;           /* the queue id is known at MAIL already, as with Sendmail */
    bool tls;
    int expect; /* an enum load_outcome, or -1 */
    bool json;
};

/* Reads the command line. 0, or -1 after saying on stderr what is wrong with it, or 1 after
   printing the help that was asked for. */
int load_options_read(struct load_options *options, int argc, char **argv);

#endif
