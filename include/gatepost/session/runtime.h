/*
 * What a session works with: one configuration and the store and SPF evaluator that it describes.
 *
 * Shared by reference: each session holds the runtime that it began with, so that a newer one can
 * take its place at any time. The old one is retired when its last session ends.
 */
#ifndef GATEPOST_SESSION_RUNTIME_H
#define GATEPOST_SESSION_RUNTIME_H

#include <stdatomic.h>
#include <time.h>

#include "gatepost/cache/networks.h"
#include "gatepost/config/config.h"
#include "gatepost/core/why.h"
#include "gatepost/spf/spf.h"

struct runtime {
    struct config *config;
    struct live_store *store;
    struct networks *networks;
    struct store *passwords; /* of app passwords; NULL where nobody asks for them */
    struct spf *spf;
    unsigned generation; /* 1 for the first configuration, one more for each reload */
    time_t since;        /* when it was opened */
    atomic_uint references;
    struct runtime *next; /* among those without a reference that wait to be freed */
};

/*
 * Opens store and evaluator for a configuration, which it then owns (also when it fails: it is
 * freed). What `last` (NULL for none) has already open for the same settings is shared, with all
 * that it knows. Returns 0 and one reference, or -1 with the reason.
 */
int runtime_open(struct config *config, struct runtime *last, struct runtime **out,
                 struct why *why);

/* The same without the store and its networks, for tools that only evaluate SPF. */
int runtime_open_spf(struct config *config, struct runtime **out, struct why *why);

/* The SPF evaluator that a configuration describes, to be released. 0, or -1 with the reason. */
int runtime_open_evaluator(const struct config *config, struct spf **out, struct why *why);

/*
 * Another reference, and one given back. The last one frees the runtime, which joins threads and
 * may wait for a store that hangs; in a process that called runtime_retire() it only leaves the
 * runtime for runtime_free_retired(), and never waits. Any thread.
 */
struct runtime *runtime_acquire(struct runtime *runtime);
void runtime_release(struct runtime *runtime);

/*
 * From now on somebody is there to free what has no reference any more: `wake` asks for that, on
 * the thread that gave back the last one, and must not wait. Before there are other threads.
 */
void runtime_retire(void (*wake)(void));

/* Frees the runtimes that wait for it. One thread at a time. */
void runtime_free_retired(void);

/*
 * New sessions begin with this runtime; the caller's reference is taken over, and that of the one
 * before is given back. NULL: none begins any more. Any thread.
 */
void runtime_publish(struct runtime *runtime);

/* A reference to the runtime that new sessions begin with, or NULL. Any thread. */
struct runtime *runtime_current(void);

#endif
