/*
 * Many transactions at the nodes of a Redis Cluster, all nodes at the same time and each in one
 * round trip. One thread.
 */
#ifndef GATEPOST_WRITE_CLUSTER_TRANSACTIONS_H
#define GATEPOST_WRITE_CLUSTER_TRANSACTIONS_H

#include "cluster_nodes.h"
#include "redis_transaction.h"

/* One transaction. The caller fills in what stands before `state`, else all is zero. */
struct cluster_transaction {
    const struct store_edit *edit;
    const struct redis_scribe *scribe;
    bool history;               /* only the entries, of an edit that was done at `at` */
    int64_t at;                 /* or when this one was done, see redis_transaction.h */
    struct cluster_route route; /* its slot; `to` where the subject is watched */
    enum {
        JOB_OPEN,     /* not done, for what the route says; may be tried again */
        JOB_SENT,     /* private */
        JOB_DONE,     /* done */
        JOB_REFUSED,  /* the node does not take it, for what the route says */
        JOB_CONFLICT, /* something watched has changed */
        JOB_LOST,     /* done or not, as there was no answer */
    } state;
    int replies; /* private */
};

/* Does those that are open, where a slot is on its way in several tries; with `once` in one. */
void cluster_transactions_run(struct cluster_nodes *cluster, struct cluster_transaction *jobs,
                              size_t n, bool once);

#endif
