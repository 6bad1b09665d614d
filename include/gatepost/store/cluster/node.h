/*
 * A node of a Redis Cluster, counted. All of a list's nodes are under the lock of whose list it is.
 */
#ifndef GATEPOST_STORE_CLUSTER_NODE_H
#define GATEPOST_STORE_CLUSTER_NODE_H

#include "gatepost/store/cluster/watches.h"
#include "gatepost/store/redis/pool.h"
#include "gatepost/store/redis/watch.h"

struct redis_node {
    /* these last as long as somebody holds the node and may be read without the lock */
    char host[256];
    int port;
    struct redis_pool *pool;
    /* the list's owner's */
    void *owner;
    struct redis_source source;
    struct redis_watch *watch; /* NULL for none yet */
    bool serves;               /* a slot */
    int64_t guest_until;       /* clock_now_ms(): one that serves none is kept until then */
    unsigned references;
    struct redis_node *next;
};

/* The node of that address; NULL when there is none in the list. */
struct redis_node *redis_node_find(struct redis_node *list, const char *host, int port);

/*
 * The same, but put into the list if it was not there, with one reference, for the list; `store`
 * names the store in the log. NULL: no memory.
 */
struct redis_node *redis_node_add(struct redis_node **list, const char *host, int port,
                                  struct redis_login *login, struct redis_tls *tls,
                                  const char *store, void *owner);

/* Takes out of the list those that serve nothing and are no guests at `now`, or all. */
struct redis_node *redis_node_take_out(struct redis_node **list, bool all, int64_t now);

/* Gives one reference back; with the last the node is freed. */
void redis_node_release(struct redis_node *node);

#endif
