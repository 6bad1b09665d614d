/*
 * The circuit breaker of one server. Owns the count of failures and the two log lines; asks nothing
 * itself.
 */
#include "breaker.h"

#include <inttypes.h>
#include <stdio.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"

#define FAILURES_MAX 3

void redis_breaker_init(struct redis_breaker *breaker) {
    atomic_init(&breaker->open, false);
    atomic_init(&breaker->supervised, false);
    atomic_init(&breaker->failures, 0);
    atomic_init(&breaker->answer, -1);
    pthread_mutex_init(&breaker->lock, NULL);
    atomic_init(&breaker->n_late, 0);
    atomic_init(&breaker->slow, false);
    breaker->trial = breaker->last_late = 0;
    breaker->since = 0;
    breaker->reason[0] = '\0';
}

void redis_breaker_destroy(struct redis_breaker *breaker) {
    pthread_mutex_destroy(&breaker->lock);
}

void redis_breaker_supervise(struct redis_breaker *breaker, bool supervised) {
    atomic_store(&breaker->supervised, supervised);
    if (supervised)
        return;
    pthread_mutex_lock(&breaker->lock);
    atomic_store(&breaker->open, false);
    atomic_store(&breaker->slow, false);
    pthread_mutex_unlock(&breaker->lock);
}

bool redis_breaker_allows(struct redis_breaker *breaker, struct why *why) {
    if (!atomic_load_explicit(&breaker->open, memory_order_acquire))
        return true;
    pthread_mutex_lock(&breaker->lock);
    int64_t now = clock_now_ms();
    bool open = atomic_load(&breaker->open);
    if (open && atomic_load(&breaker->slow) && now >= breaker->trial) {
        breaker->trial = now + BREAKER_TRIAL_INTERVAL;
        open = false;
    }
    if (open)
        why_set(why, "%s, since %" PRId64 " s", breaker->reason, (now - breaker->since) / 1000);
    pthread_mutex_unlock(&breaker->lock);
    return !open;
}

static void close_locked(struct redis_breaker *breaker, const char *store, const char *server) {
    char after[32];
    snprintf(after, sizeof after, "%.1f", (double)(clock_now_ms() - breaker->since) / 1000);
    if (atomic_exchange(&breaker->slow, false))
        atomic_store(&breaker->n_late, 0);
    if (atomic_exchange(&breaker->open, false))
        log_event(LOG_NOTICE, "store-up", "store", store, "server", server, "after", after,
                  (char *)NULL);
}

/* Returns whether it was closed. */
static bool open_locked(struct redis_breaker *breaker, const char *reason, const char *store,
                        const char *server) {
    snprintf(breaker->reason, sizeof breaker->reason, "%s", reason);
    if (atomic_load(&breaker->open))
        return false;
    atomic_store_explicit(&breaker->open, true, memory_order_release);
    log_event(LOG_ERR, "store-down", "store", store, "server", server, "problem", reason,
              (char *)NULL);
    return true;
}

bool redis_breaker_is_calm(const struct redis_breaker *breaker) {
    return atomic_load_explicit(&breaker->failures, memory_order_relaxed) == 0 &&
           !atomic_load_explicit(&breaker->slow, memory_order_relaxed);
}

void redis_breaker_answered(struct redis_breaker *breaker, const char *store, const char *server) {
    int64_t now = clock_now_ms();
    atomic_store_explicit(&breaker->answer, now, memory_order_relaxed);
    if (redis_breaker_is_calm(breaker))
        return;
    pthread_mutex_lock(&breaker->lock);
    atomic_store(&breaker->failures, 0);
    if (!atomic_load(&breaker->slow) || now - breaker->last_late >= BREAKER_LATE_MEMORY)
        close_locked(breaker, store, server);
    pthread_mutex_unlock(&breaker->lock);
}

bool redis_breaker_failed(struct redis_breaker *breaker, int64_t began, const char *reason,
                          const char *store, const char *server) {
    bool opened = false;
    if (!atomic_load(&breaker->supervised) ||
        began < atomic_load_explicit(&breaker->answer, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&breaker->lock);
    int failures = atomic_load(&breaker->failures) + 1;
    if (failures == 1 && !atomic_load(&breaker->slow))
        breaker->since = began;
    snprintf(breaker->reason, sizeof breaker->reason, "%s", reason);
    atomic_store(&breaker->failures, failures);
    if (failures >= FAILURES_MAX) {
        atomic_store(&breaker->slow, false); /* whoever looks after it will see it answer */
        opened = open_locked(breaker, reason, store, server);
    }
    pthread_mutex_unlock(&breaker->lock);
    return opened;
}

void redis_breaker_served(struct redis_breaker *breaker, const char *store, const char *server) {
    if (atomic_load_explicit(&breaker->n_late, memory_order_relaxed) == 0)
        return;
    pthread_mutex_lock(&breaker->lock);
    atomic_store(&breaker->n_late, 0);
    if (atomic_load(&breaker->slow))
        close_locked(breaker, store, server);
    pthread_mutex_unlock(&breaker->lock);
}

/* Is it a key more in the row? */
static bool add_late_locked(struct redis_breaker *breaker, uint64_t key) {
    size_t n = atomic_load(&breaker->n_late);
    for (size_t i = 0; i < n; i++)
        if (breaker->late[i] == key)
            return false;
    if (n == BREAKER_LATE_MAX)
        return false;
    breaker->late[n] = key;
    atomic_store(&breaker->n_late, n + 1);
    return true;
}

bool redis_breaker_late(struct redis_breaker *breaker, uint64_t key, int64_t began,
                        const char *reason, const char *store, const char *server) {
    char all[sizeof breaker->reason];
    bool opened = false;
    if (!atomic_load(&breaker->supervised))
        return false;
    pthread_mutex_lock(&breaker->lock);
    breaker->last_late = clock_now_ms();
    if (add_late_locked(breaker, key) && atomic_load(&breaker->n_late) == BREAKER_LATE_MAX &&
        !atomic_load(&breaker->open)) {
        breaker->since = began;
        atomic_store(&breaker->slow, true);
        breaker->trial = breaker->last_late + BREAKER_TRIAL_INTERVAL;
        snprintf(all, sizeof all, "%.300s; so it was for %d keys in a row", reason,
                 BREAKER_LATE_MAX);
        opened = open_locked(breaker, all, store, server);
    }
    pthread_mutex_unlock(&breaker->lock);
    return opened;
}

bool redis_breaker_awaits_answer(const struct redis_breaker *breaker) {
    return atomic_load(&breaker->open) && !atomic_load(&breaker->slow);
}
