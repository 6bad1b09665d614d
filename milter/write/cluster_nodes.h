/*
 * Redis Cluster for tools: one connection to each master that is needed, and the way to the one
 * that has a slot. Beside redis_client.h, which is for one server. One thread.
 */
#ifndef GATEPOST_WRITE_CLUSTER_NODES_H
#define GATEPOST_WRITE_CLUSTER_NODES_H

#include "gatepost/core/store_url.h"
#include "gatepost/core/why.h"
#include "gatepost/store/cluster/map.h"
#include "redis_client.h"

/* A node that has been talked with, or that has slots. Lasts as long as the cluster. */
struct redis_member {
    struct redis_node *node;
    struct redis_client talk;
    char name[REDIS_NAME_SIZE + 5]; /* "node HOST:PORT", for messages */
    struct why problem;             /* why nobody talks with it in this try; "" */
    size_t slots;                   /* by cluster_nodes_masters() */
    /* cluster_scan.c's */
    bool walked;  /* has slots, or takes one over */
    size_t found; /* subjects */
    char *told;   /* its slots in its own words; NULL */
    struct redis_member *next;
};

struct cluster_nodes {
    struct redis_map *map;
    char *prefix;
    int64_t timeout;  /* milliseconds for each wait */
    int64_t deadline; /* of this try, for finding out who has what; see cluster_nodes_again() */
    struct redis_member *members;
};

/* Connects to nobody yet. Returns 0, or -1 with the reason; to be cleared in both cases. */
int cluster_nodes_init(struct cluster_nodes *cluster, const struct store_settings *settings,
                       const struct store_url *url, struct why *why);
void cluster_nodes_clear(struct cluster_nodes *cluster);

/* The slot of a subject's key. Returns 0, or -1 when there is no memory. */
int cluster_nodes_slot(const struct cluster_nodes *cluster, const char *subject, unsigned *slot);

/* The member at an address to which a node points. NULL: no memory. */
struct redis_member *cluster_nodes_member(struct cluster_nodes *cluster, const char *host,
                                          int port);

/*
 * Connects to a member unless that is done; only to a master, since a replica lags behind. Returns
 * 0, or -1 with the reason in `problem`, the node's name in it.
 */
int cluster_nodes_connect(struct cluster_nodes *cluster, struct redis_member *member);

/*
 * Asks who the masters are, within a try: the members whose `slots` is not 0. Returns 0, or -1 with
 * the reason, also when a slot is served by nobody.
 */
int cluster_nodes_masters(struct cluster_nodes *cluster, struct why *why);

/* How often something has been tried; all zero at first. */
struct redis_tries {
    int n;
    int64_t began;
};

/* Begins a try; the next ones after a little while, as slots move and masters come back. False when
 * there have been enough. */
bool cluster_nodes_again(struct cluster_nodes *cluster, struct redis_tries *tries);

/* The way to the node that has a slot; all zero but the slot at first. */
struct cluster_route {
    unsigned slot;
    struct redis_member *to; /* NULL: where the map says */
    bool asking;             /* ASKING goes before each command, or before MULTI */
    struct why why;          /* what went wrong last, the node's name in it */
};

/* Connects to where it leads now. Returns 0, or -1 with the reason in the route. */
int cluster_route_open(struct cluster_nodes *cluster, struct cluster_route *route);

/*
 * The node there has answered with an error. True when it may help to try again, where the route
 * leads from now on.
 */
bool cluster_route_refused(struct cluster_nodes *cluster, struct cluster_route *route,
                           const char *error);

/*
 * Sends a command that may be repeated to the node that has the slot, and returns its reply; NULL
 * with the reason.
 */
redisReply *cluster_nodes_ask(struct cluster_nodes *cluster, struct cluster_route *route,
                              const struct redis_command *command, struct why *why);

#endif
