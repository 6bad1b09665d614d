/*
 * What a node of a Redis Cluster says about who serves which slots.
 */
#ifndef GATEPOST_STORE_CLUSTER_TOPOLOGY_H
#define GATEPOST_STORE_CLUSTER_TOPOLOGY_H

#include "gatepost/core/why.h"
#include "gatepost/store/cluster/slot.h"
#include "gatepost/store/redis/conn.h"

#define TOPOLOGY_NOBODY 0xffff

struct redis_topology {
    struct redis_topology_master {
        char host[256];
        int port;
    } * masters; /* that serve a slot */
    size_t n;
    uint16_t slots[REDIS_SLOTS]; /* place of the master, or TOPOLOGY_NOBODY */
    long long epoch;             /* the larger, the newer */
};

/*
 * Asks the server at the other end of a connection, whose own address is `host`. Returns 0 and a
 * topology to be freed by the caller, or -1 with the reason. Any thread.
 */
int redis_topology_ask(redisContext *conn, const char *host, int64_t deadline,
                       struct redis_topology **out, struct why *why);
void redis_topology_free(struct redis_topology *topology);

/* Whose view was taken last; all zero at first. One thread at a time. */
struct redis_survey {
    long long epoch;
    int64_t epoch_seen; /* clock_now_ms() */
    size_t turn;
};

/*
 * Asks one after the other of `n` servers, another one first each time, until one answers with a
 * view that is not outdated: the others may have gone on without it. `timeout` milliseconds for
 * each, until the deadline for all, of which one that hangs takes only its share. As
 * redis_topology_ask().
 */
int redis_survey(struct redis_survey *survey, const struct redis_server *servers, size_t n,
                 int64_t timeout, int64_t deadline, struct redis_topology **out, struct why *why);

#endif
