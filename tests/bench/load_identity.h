#ifndef BENCH_LOAD_IDENTITY_H
#define BENCH_LOAD_IDENTITY_H

#include "load_options.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* Room for a name or address on the command line and for what {n} makes of it. */
#define LOAD_NAME_MAX 320

/* The name that the client's address is said to resolve to. */
#define LOAD_CLIENT_NAME "client.example.org"

/* Who one session pretends to be. */
struct load_identity {
    char client[INET6_ADDRSTRLEN];
    char tagged_client[INET6_ADDRSTRLEN + 5]; /* IPv6 with the "IPv6:" that SMTP puts in front */
    char peer[INET6_ADDRSTRLEN + 32];         /* the `_` macro */
    char sender[LOAD_NAME_MAX];
    char path[LOAD_NAME_MAX + 2]; /* <sender> */
    char login[LOAD_NAME_MAX];
    char queue_id[24];
};

/* True when the pattern, with any number below `count` for its {n}, fits into LOAD_NAME_MAX. */
bool load_identity_fits(const char *pattern, uint32_t count);

/* The identity of session `number`, counted from 0. */
void load_identity_make(struct load_identity *identity, const struct load_options *options,
                        uint64_t number);

#endif
