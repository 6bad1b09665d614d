/*
 * The policy cache: what the store said of subjects, kept while it is known to be still so.
 *
 * A subject is fresh while the store's watch would have told of its change, for `ttl` at most; any
 * gap in the watch means that it must be asked for again. While the store does not answer, what
 * was known last serves up to `stale_max`. Absent subjects are kept as well. Look-ups of one
 * subject at the same time ask the store once. Any thread.
 *
 * The answer to a look-up is never older than the look-up itself, less what a change needs to be
 * told of: an answer that a change overtook is not kept, and who merely waited for it asks anew.
 */
#ifndef GATEPOST_CACHE_POLICY_CACHE_H
#define GATEPOST_CACHE_POLICY_CACHE_H

#include "gatepost/cache/policy_fetch.h"
#include "gatepost/core/why.h"

struct policy_cache;

struct policy_cache_settings {
    struct store *store;    /* must outlive the cache, as must key_prefix */
    const char *key_prefix; /* of the store's keys, for the log */
    size_t entries;         /* subjects kept at most; 0: none, every look-up asks the store */
    int64_t timeout;        /* milliseconds that a look-up may wait for another one's answer */
};

/* NULL when there is no memory. It keeps nothing before policy_cache_keep() is called. */
struct policy_cache *policy_cache_new(const struct policy_cache_settings *settings);
void policy_cache_free(struct policy_cache *cache);

/* How long it keeps what it knows, in milliseconds: from now on, and what it knows already. */
void policy_cache_keep(struct policy_cache *cache, int64_t ttl, int64_t stale_max);

/* What the store's watch tells. Does not block. */
void policy_cache_told(struct policy_cache *cache, enum store_event event, const char *subject);

/*
 * Looks `n` subjects up, at most SUBJECTS. Returns 0 with what is known of each in out[i], to be
 * released by the caller, and in *stale whether one of them served without the store; or -1 with
 * the reason in `why` and nothing to release.
 */
int policy_cache_get(struct policy_cache *cache, const char *const *subjects, size_t n,
                     struct shared_policy **out, bool *stale, struct why *why);

/* How the cache stands: for an operator. Any thread. */
struct policy_cache_state {
    enum { CACHE_LOST, CACHE_WATCHED, CACHE_BLIND } watching; /* what the watch said last */
    size_t entries;
    int64_t lost_for; /* milliseconds since the watch was lost; 0 while it is not */
};
void policy_cache_state(struct policy_cache *cache, struct policy_cache_state *out);

#endif
