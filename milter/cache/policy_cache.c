/*
 * The policy cache. Owns the joining of look-ups, and that no look-up gets what a change has
 * overtaken; which subjects are kept is policy_entries.c's, asking and decoding policy_fetch.c's,
 * whether changes are heard of epochs.c's.
 */
#include "policy_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/keyed_hash.h"
#include "gatepost/base/metrics.h"
#include "gatepost/base/waiting.h"
#include "policy_entries.h"

/* Parts with a lock of their own, held for a few instructions, so that threads seldom meet. */
#define SHARDS_MAX 64
#define SHARD_MIN_ENTRIES 64

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    pthread_cond_t answered;
    struct entries entries;
    uint64_t tickets;
    struct why why; /* of the last failure */
    /* Changes that wait for the lock. Its holder may not get the processor for a while; the many
       look-ups that wait with them must then not get what was so before. */
    atomic_uint changes;
};

struct policy_cache {
    struct policy_cache_settings settings;
    atomic_int_fast64_t ttl, stale_max; /* milliseconds */
    struct epochs epochs;
    size_t n_shards;
    struct shard shards[];
};

/* One subject of a look-up in progress. */
enum step { HIT, LOAD, JOIN, AGAIN, FAILED };
struct ask {
    struct shard *shard;
    const char *subject;
    unsigned hash;
    struct entry *entry; /* pinned by LOAD and JOIN; NULL for a LOAD that cannot be kept */
    uint64_t ticket;
    struct epoch_mark asked;
    enum step step;
    struct shared_policy *known;
};

struct policy_cache *policy_cache_new(const struct policy_cache_settings *settings) {
    size_t shards = settings->entries / SHARD_MIN_ENTRIES;
    if (shards > SHARDS_MAX)
        shards = SHARDS_MAX;
    if (shards == 0)
        shards = settings->entries > 0;
    size_t size = sizeof(struct policy_cache) + shards * sizeof(struct shard);
    struct policy_cache *cache = aligned_alloc(64, (size + 63) / 64 * 64);
    if (cache == NULL)
        return NULL;
    memset(cache, 0, size);
    cache->settings = *settings;
    cache->n_shards = shards;
    for (size_t i = 0; i < shards; i++) {
        pthread_mutex_init(&cache->shards[i].lock, NULL);
        clock_cond_init(&cache->shards[i].answered);
        entries_init(&cache->shards[i].entries, settings->entries / shards);
    }
    return cache;
}

void policy_cache_keep(struct policy_cache *cache, int64_t ttl, int64_t stale_max) {
    atomic_store(&cache->ttl, ttl);
    atomic_store(&cache->stale_max, stale_max);
}

void policy_cache_free(struct policy_cache *cache) {
    if (cache == NULL)
        return;
    for (size_t i = 0; i < cache->n_shards; i++) {
        entries_clear_locked(&cache->shards[i].entries);
        pthread_mutex_destroy(&cache->shards[i].lock);
        pthread_cond_destroy(&cache->shards[i].answered);
    }
    free(cache);
}

static bool is_fresh_locked(const struct policy_cache *cache, const struct shard *shard,
                            const struct entry *entry, int64_t now) {
    const struct shared_policy *known = entry->known;
    return known != NULL && !entry->outdated && atomic_load(&shard->changes) == 0 &&
           epochs_hold(&cache->epochs, &known->asked) &&
           now - known->asked.at < atomic_load(&cache->ttl);
}

static void find_shard(struct policy_cache *cache, struct ask *ask, const char *subject) {
    ask->subject = subject;
    ask->hash = (unsigned)keyed_hash(subject, strlen(subject));
    ask->shard = &cache->shards[(ask->hash >> 16) % cache->n_shards];
}

static struct entry *find_locked(const struct ask *ask) {
    return entries_find_locked(&ask->shard->entries, ask->subject, ask->hash);
}

/* Answers from what is fresh, joins a look-up in progress, or becomes the one that asks. */
static void begin(struct policy_cache *cache, struct ask *ask, int64_t now) {
    struct shard *shard = ask->shard;
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = find_locked(ask);
    ask->asked.state = epochs_state(&cache->epochs); /* locked: a later change finds the entry */
    if (entry != NULL && is_fresh_locked(cache, shard, entry, now)) {
        ask->step = HIT;
        ask->known = shared_policy_acquire(entry->known);
        entries_used_locked(&shard->entries, entry);
    } else if (entry != NULL && entry->ticket != 0 && !entry->overtaken) {
        ask->step = JOIN;
        ask->ticket = entry->ticket;
    } else {
        if (entry == NULL)
            entry = entries_add_locked(&shard->entries, ask->subject, ask->hash);
        ask->step = LOAD;
        ask->ticket = ++shard->tickets;
        if (entry != NULL) {
            entry->ticket = ask->ticket;
            entry->overtaken = false;
        }
    }
    if (ask->step != HIT && entry != NULL) {
        entry->pins++;
        ask->entry = entry;
    }
    pthread_mutex_unlock(&shard->lock);
}

/* Unpins an entry, and drops it if nobody else pins it and it holds no usable policy. */
static void unpin_locked(struct ask *ask) {
    struct entry *entry = ask->entry;
    ask->entry = NULL;
    if (--entry->pins == 0 && (entry->known == NULL || entry->outdated))
        entries_drop_locked(&ask->shard->entries, entry);
}

/* Hands what the store said to those who wait; NULL: it did not answer. */
static void publish(struct ask *ask, const char *why) {
    struct entry *entry = ask->entry;
    struct shared_policy *last = NULL;
    ask->step = ask->known == NULL ? FAILED : LOAD;
    if (ask->known != NULL)
        ask->known->asked = ask->asked;
    if (entry == NULL)
        return;
    pthread_mutex_lock(&ask->shard->lock);
    if (entry->ticket == ask->ticket) {
        entry->ticket = 0;
        if (ask->known == NULL) {
            entry->failed = ask->ticket;
            why_set(&ask->shard->why, "%s", why);
        } else if (!entry->overtaken) {
            last = entries_learn_locked(&ask->shard->entries, entry, ask->known);
            entry->outdated = false;
        }
        pthread_cond_broadcast(&ask->shard->answered);
    }
    unpin_locked(ask);
    pthread_mutex_unlock(&ask->shard->lock);
    shared_policy_release(last);
}

/* Asks the store for all that nobody else is asking for, in one round trip. */
static void load(struct policy_cache *cache, struct ask *asks, size_t n, enum step step,
                 int64_t deadline, struct why *why) {
    const char *subjects[ALL_SUBJECTS];
    struct shared_policy *known[ALL_SUBJECTS];
    struct ask *wanted[ALL_SUBJECTS];
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (asks[i].step == step) {
            wanted[count] = &asks[i];
            subjects[count++] = asks[i].subject;
        }
    }
    if (count == 0)
        return;
    int64_t now = clock_now_ms();
    policy_fetch(cache->settings.store, cache->settings.key_prefix, subjects, count, known,
                 deadline, why);
    metrics_cache(CACHE_MISS, count);
    for (size_t i = 0; i < count; i++) {
        wanted[i]->known = known[i];
        wanted[i]->asked.at = now;
        publish(wanted[i], why->text);
    }
}

/* Waits for the answer of the look-up that was joined. */
static void join(struct policy_cache *cache, struct ask *ask, int64_t deadline, struct why *why) {
    struct shard *shard = ask->shard;
    struct entry *entry = ask->entry;
    struct waiting w = waiting_begin(deadline);
    int rc = 0;
    pthread_mutex_lock(&shard->lock);
    while (entry->ticket == ask->ticket && !entry->overtaken && rc == 0)
        rc = waiting_cond(&w, &shard->answered, &shard->lock);
    ask->step = AGAIN;
    if (is_fresh_locked(cache, shard, entry, clock_now_ms())) {
        ask->step = HIT;
        ask->known = shared_policy_acquire(entry->known);
        entries_used_locked(&shard->entries, entry);
    } else if (entry->failed >= ask->ticket) {
        ask->step = FAILED;
        *why = shard->why;
    } else if (rc != 0) {
        ask->step = FAILED;
        why_set(why, "no answer within store_timeout");
    }
    unpin_locked(ask);
    pthread_mutex_unlock(&shard->lock);
    waiting_end(&w);
}

/* What was known last, if that is not too long ago. */
static void serve_stale(struct policy_cache *cache, struct ask *ask) {
    int64_t now = clock_now_ms();
    pthread_mutex_lock(&ask->shard->lock);
    struct entry *entry = find_locked(ask);
    if (entry != NULL && entry->known != NULL && !entry->outdated &&
        now - epochs_valid_at(&cache->epochs, &entry->known->asked, now) <=
            atomic_load(&cache->stale_max)) {
        ask->known = shared_policy_acquire(entry->known);
        entries_used_locked(&ask->shard->entries, entry);
    }
    pthread_mutex_unlock(&ask->shard->lock);
}

static int get_uncached(struct policy_cache *cache, const char *const *subjects, size_t n,
                        struct shared_policy **out, int64_t deadline, struct why *why) {
    int rc = policy_fetch(cache->settings.store, cache->settings.key_prefix, subjects, n, out,
                          deadline, why);
    for (size_t i = 0; rc != 0 && i < n; i++)
        shared_policy_release(out[i]);
    return rc;
}

int policy_cache_get(struct policy_cache *cache, const char *const *subjects, size_t n,
                     struct shared_policy **out, bool *stale, int64_t deadline, struct why *why) {
    struct ask asks[ALL_SUBJECTS] = {0};
    size_t hits = 0, stales = 0;
    int64_t now = clock_now_ms();
    int64_t limit = now + cache->settings.timeout; /* one for all that follows */
    deadline = limit < deadline ? limit : deadline;
    *stale = false;
    if (cache->n_shards == 0)
        return get_uncached(cache, subjects, n, out, deadline, why);
    for (size_t i = 0; i < n; i++) {
        find_shard(cache, &asks[i], subjects[i]);
        begin(cache, &asks[i], now);
    }
    load(cache, asks, n, LOAD, deadline, why);
    for (size_t i = 0; i < n; i++)
        if (asks[i].step == JOIN)
            join(cache, &asks[i], deadline, why);
    load(cache, asks, n, AGAIN, deadline, why);
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        hits += asks[i].step == HIT;
        if (asks[i].step == FAILED) {
            serve_stale(cache, &asks[i]);
            stales += asks[i].known != NULL;
        }
        out[i] = asks[i].known;
        if (out[i] == NULL)
            rc = -1;
    }
    metrics_cache(CACHE_HIT, hits);
    metrics_cache(CACHE_STALE, stales);
    *stale = stales > 0;
    for (size_t i = 0; rc != 0 && i < n; i++)
        shared_policy_release(out[i]);
    return rc;
}

/*
 * What is known of a subject is outdated, and so is what a look-up in progress may bring. Frees
 * nothing: the watch must not wait for a lock of malloc()'s. The next look-up does, or who needs
 * room.
 */
static void overtake_locked(struct entry *entry) {
    entry->overtaken = entry->outdated = true;
    entry->used = false;
}

static void lock_to_change(struct shard *shard) {
    atomic_fetch_add(&shard->changes, 1);
    pthread_mutex_lock(&shard->lock);
}

static void unlock_changed(struct shard *shard) {
    atomic_fetch_sub(&shard->changes, 1);
    pthread_cond_broadcast(&shard->answered);
    pthread_mutex_unlock(&shard->lock);
}

static void forget(struct policy_cache *cache, const char *subject) {
    struct ask ask = {0};
    find_shard(cache, &ask, subject);
    lock_to_change(ask.shard);
    struct entry *entry = find_locked(&ask);
    if (entry != NULL)
        overtake_locked(entry);
    unlock_changed(ask.shard);
}

static void forget_all(struct policy_cache *cache) {
    for (size_t i = 0; i < cache->n_shards; i++) {
        struct shard *shard = &cache->shards[i];
        lock_to_change(shard);
        for (struct entry *entry = shard->entries.table; entry != NULL; entry = entry->hh.next)
            overtake_locked(entry);
        unlock_changed(shard);
    }
}

void policy_cache_note(struct policy_cache *cache, enum store_event event, const char *subject) {
    if (cache->n_shards == 0)
        return;
    if (event != STORE_CHANGED)
        epochs_note(&cache->epochs, event, clock_now_ms());
    else if (subject != NULL)
        forget(cache, subject);
    else
        forget_all(cache);
}

bool policy_cache_asks_self(const struct policy_cache *cache) {
    return cache->settings.self_facts;
}

size_t policy_cache_entries(struct policy_cache *cache) {
    size_t n = 0;
    for (size_t i = 0; i < cache->n_shards; i++) {
        pthread_mutex_lock(&cache->shards[i].lock);
        n += entries_count_locked(&cache->shards[i].entries);
        pthread_mutex_unlock(&cache->shards[i].lock);
    }
    return n;
}

enum watching policy_cache_watching(const struct policy_cache *cache, int64_t *lost_for) {
    *lost_for = epochs_lost_for(&cache->epochs, clock_now_ms());
    return epochs_watching(&cache->epochs);
}
