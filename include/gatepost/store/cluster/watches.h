/*
 * The words of several watches made those of one store.
 *
 * The store is watched when every source is and nobody holds it; it is lost when one is lost, and
 * else blind when one is. Changes are passed on as they come. Any thread; `told` is called by one
 * at a time.
 */
#ifndef GATEPOST_STORE_CLUSTER_WATCHES_H
#define GATEPOST_STORE_CLUSTER_WATCHES_H

#include <pthread.h>
#include <stdbool.h>

#include "gatepost/store/store.h"

/* One watch. Belongs to who adds it. */
struct redis_source {
    struct redis_watches *merge;
    struct redis_source *next;
    enum store_event state; /* STORE_LOST, STORE_WATCHED or STORE_BLIND */
    bool empty;             /* no policy was found there, and none has come since */
};

struct redis_watches {
    pthread_mutex_t lock;
    const char *store; /* its name in the log */
    store_told *told;  /* NULL: nobody listens */
    void *context;
    struct redis_source *sources;
    unsigned holds;        /* so far */
    unsigned settled;      /* how many of them are settled */
    enum store_event said; /* of the watch, and when */
    int64_t said_at;
    bool said_empty;
};

void redis_watches_init(struct redis_watches *merge, const char *store);
void redis_watches_destroy(struct redis_watches *merge);

/* Who listens; NULL for nobody: once this returns, the previous one is not called any more. */
void redis_watches_listen(struct redis_watches *merge, store_told *told, void *context);

/* A new source is not watched yet. */
void redis_watches_add(struct redis_watches *merge, struct redis_source *source);
void redis_watches_remove(struct redis_watches *merge, struct redis_source *source);

/*
 * Which sources there ought to be is changing: the store counts as lost until this is settled.
 * Who settles asks first how many holds there are, then does what is needed, and settles these:
 * one that comes meanwhile stays.
 */
void redis_watches_hold(struct redis_watches *merge);
unsigned redis_watches_holds(struct redis_watches *merge);
void redis_watches_settle(struct redis_watches *merge, unsigned holds);

/* For the watch of a source, which is the context: as store_told, and what it has counted. */
void redis_source_told(void *source, enum store_event event, const char *subject);
void redis_source_counted(void *source, bool empty);

#endif
