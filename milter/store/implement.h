/*
 * For the kinds of store: what each of them implements for store.h.
 */
#ifndef GATEPOST_STORE_IMPLEMENT_H
#define GATEPOST_STORE_IMPLEMENT_H

#include <stdatomic.h>

#include "gatepost/core/store_url.h"
#include "gatepost/core/why.h"
#include "gatepost/store/store.h"

/*
 * What a kind of store implements; a struct store begins with a pointer to it. `get` is given
 * hashes that are unanswered and empty.
 */
struct store_ops {
    int (*get)(struct store *store, const char *const *subjects, size_t n,
               struct store_hash *hashes, int64_t deadline, struct why *why);
    int (*walk)(struct store *store, const char *subject, store_take_field *take, void *context,
                struct why *why);
    int (*watch)(struct store *store, store_told *told, void *context, struct why *why);
    void (*unwatch)(struct store *store);
    void (*free)(struct store *store);
    bool (*is_up)(struct store *store); /* NULL: always */
    /* NULL: made anew of what `get` answers. `made` is given all NULL. */
    int (*get_made)(struct store *store, const char *const *subjects, size_t n,
                    const struct store_maker *maker, void **made, struct why *why);
};

/*
 * Has a look-up passed its time-out lately? It may be that the server puts together an answer that
 * is far too large, which takes it longer than that: sizes are asked for first then, for a minute.
 * Zero: no doubt. Any thread.
 */
struct store_doubt {
    atomic_int_least64_t until; /* clock_now_ms() */
};
#define STORE_DOUBT_TIME 60000
void store_doubt(struct store_doubt *doubt);
bool store_doubts(const struct store_doubt *doubt);

/* After a pass for sizes: is the hash still to be read? Makes it unanswered then. */
bool store_hash_wants_reading(struct store_hash *hash);

struct store {
    const struct store_ops *ops;
    bool remote; /* store_is_remote() */
};

/* The kinds; as store_open(). */
int store_redis_open(const struct store_settings *settings, const struct store_url *url,
                     struct store **out, struct why *why);
int store_cluster_open(const struct store_settings *settings, const struct store_url *url,
                       struct store **out, struct why *why);
int store_file_open(const struct store_settings *settings, const struct store_url *url,
                    struct store **out, struct why *why);

#endif
