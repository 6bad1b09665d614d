/*
 * The policy cache: what the store said of subjects, kept while it is known to be still so.
 *
 * A subject is fresh while a change of it would have been heard of (epochs.h), for `ttl` at most.
 * While the store does not answer, what was known last serves up to `stale_max`. Absent subjects
 * are kept as well. Look-ups of one subject at the same time ask the store once. Any thread.
 *
 * The answer to a look-up is never older than the look-up itself, less the time in which a change
 * is heard of: an answer that a change overtook is not kept, and a look-up that merely waited for
 * it asks anew.
 */
#ifndef GATEPOST_CACHE_POLICY_CACHE_H
#define GATEPOST_CACHE_POLICY_CACHE_H

#include "gatepost/core/why.h"
#include "policy_fetch.h"

struct policy_cache;

struct policy_cache_settings {
    struct store *store;    /* must outlive the cache, as must key_prefix */
    const char *key_prefix; /* of the store's keys, for the log */
    /* Subjects kept at most. 0: none, every look-up asks the store; so it must be for one that is
       not remote, which keeps its policies itself. */
    size_t entries;
    int64_t timeout; /* milliseconds for one policy_cache_get() */
    bool self_facts; /* what users have set themselves is asked for */
};

/* NULL when there is no memory. It keeps nothing before policy_cache_keep() is called. */
struct policy_cache *policy_cache_new(const struct policy_cache_settings *settings);
void policy_cache_free(struct policy_cache *cache);

/* How long it keeps what it knows, in milliseconds: from now on, and what it knows already. */
void policy_cache_keep(struct policy_cache *cache, int64_t ttl, int64_t stale_max);

/* What the store's watch says, as store_told. Does not block. */
void policy_cache_note(struct policy_cache *cache, enum store_event event, const char *subject);

/*
 * Looks `n` subjects up, at most ALL_SUBJECTS. Returns 0 with what is known of each in out[i], to
 * be released by the caller, and in *stale whether one of them served without the store; or -1 with
 * the reason in `why` and nothing to release.
 */
int policy_cache_get(struct policy_cache *cache, const char *const *subjects, size_t n,
                     struct shared_policy **out, bool *stale, int64_t deadline, struct why *why);

/* Is what an account's user has set himself among its subjects? */
bool policy_cache_asks_self(const struct policy_cache *cache);

/* Subjects that it keeps. */
size_t policy_cache_entries(struct policy_cache *cache);

/* What the watch said last, and since when it is lost, as epochs_lost_for(). */
enum watching policy_cache_watching(const struct policy_cache *cache, int64_t *lost_for);

#endif
