/*
 * Many transactions at the nodes of a Redis Cluster, all nodes at the same time and each in one
 * round trip. One thread.
 */
#ifndef GATEPOST_REDIS_JOBS_H
#define GATEPOST_REDIS_JOBS_H

#include "gatepost/redis_cluster.h"
#include "gatepost/redis_edit.h"

/* One transaction. The caller fills in what stands before `state`, else all is zero. */
struct redis_job {
    const struct store_edit *edit;
    const struct redis_scribe *scribe;
    bool history;             /* only the entries, of an edit that was done at `at` */
    int64_t at;               /* or when this one was done, see redis_edit.h */
    struct redis_route route; /* its slot; `to` where the subject is watched */
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
void redis_jobs_run(struct redis_cluster *cluster, struct redis_job *jobs, size_t n, bool once);

#endif
