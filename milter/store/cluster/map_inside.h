/*
 * The map of a cluster, for the two files that make it up: map.c and keeper.c.
 */
#ifndef GATEPOST_STORE_CLUSTER_MAP_INSIDE_H
#define GATEPOST_STORE_CLUSTER_MAP_INSIDE_H

#include <pthread.h>
#include <stdbool.h>

#include "gatepost/store/cluster/map.h"
#include "gatepost/store/cluster/slot.h"
#include "gatepost/store/cluster/watches.h"
#include "topology.h"

struct redis_map {
    struct store_url url;
    char *store, *prefix;
    bool self_facts;
    struct redis_login *login;
    struct redis_tls *tls; /* NULL: without TLS */
    int64_t timeout;
    struct redis_watches merge;
    pthread_mutex_t asking;     /* held by who makes the map anew */
    struct redis_survey survey; /* under `asking` */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct redis_node *nodes;              /* under lock, as is all below */
    struct redis_node *slots[REDIS_SLOTS]; /* each counted in its node's `serves` */
    bool known, watching, stopping, doubted;
    struct why problem; /* why it is not known */
    pthread_t thread;
};

/* Asks for the map and takes it; by who holds `asking`. Returns 0, or -1 with the reason. */
int redis_map_refresh(struct redis_map *map, int64_t deadline, struct why *why);

#endif
