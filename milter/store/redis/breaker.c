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
    breaker->since = 0;
    breaker->reason[0] = '\0';
}

void redis_breaker_destroy(struct redis_breaker *breaker) {
    pthread_mutex_destroy(&breaker->lock);
}

void redis_breaker_supervise(struct redis_breaker *breaker, bool supervised) {
    atomic_store(&breaker->supervised, supervised);
    if (!supervised)
        atomic_store(&breaker->open, false);
}

bool redis_breaker_allows(struct redis_breaker *breaker, struct why *why) {
    if (!atomic_load_explicit(&breaker->open, memory_order_acquire))
        return true;
    pthread_mutex_lock(&breaker->lock);
    bool open = atomic_load(&breaker->open);
    if (open)
        why_set(why, "%s, since %" PRId64 " s", breaker->reason,
                (clock_now_ms() - breaker->since) / 1000);
    pthread_mutex_unlock(&breaker->lock);
    return !open;
}

void redis_breaker_answered(struct redis_breaker *breaker, const char *store, const char *server) {
    atomic_store_explicit(&breaker->answer, clock_now_ms(), memory_order_relaxed);
    if (atomic_load_explicit(&breaker->failures, memory_order_relaxed) == 0)
        return;
    pthread_mutex_lock(&breaker->lock);
    atomic_store(&breaker->failures, 0);
    bool was_open = atomic_exchange(&breaker->open, false);
    char after[32];
    snprintf(after, sizeof after, "%.1f", (double)(clock_now_ms() - breaker->since) / 1000);
    if (was_open)
        log_event(LOG_NOTICE, "store-up", "store", store, "server", server, "after", after,
                  (char *)NULL);
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
    if (failures == 1)
        breaker->since = began;
    snprintf(breaker->reason, sizeof breaker->reason, "%s", reason);
    atomic_store(&breaker->failures, failures);
    if (failures >= FAILURES_MAX && !atomic_load(&breaker->open)) {
        atomic_store_explicit(&breaker->open, true, memory_order_release);
        opened = true;
        log_event(LOG_ERR, "store-down", "store", store, "server", server, "problem", reason,
                  (char *)NULL);
    }
    pthread_mutex_unlock(&breaker->lock);
    return opened;
}
