/*
 * What is known about whether one server answers, so that not every session has to find out on its
 * own.
 *
 * Of look-ups that fail because the server is not there the third in a row opens the breaker: it
 * refuses at once, with the reason of the last failure, until somebody has seen the server answer.
 * Opening and closing are logged (store-down, store-up). Any thread.
 */
#ifndef GATEPOST_STORE_REDIS_BREAKER_H
#define GATEPOST_STORE_REDIS_BREAKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatepost/core/why.h"

struct redis_breaker {
    atomic_bool open;
    atomic_bool supervised;
    atomic_int failures;         /* in a row */
    atomic_int_least64_t answer; /* when the server last answered, clock_now_ms() */
    pthread_mutex_t lock;
    int64_t since;    /* of the first failure; under lock, as is the next */
    char reason[400]; /* of the last failure */
};

void redis_breaker_init(struct redis_breaker *breaker);
void redis_breaker_destroy(struct redis_breaker *breaker);

/*
 * From now on somebody looks after the server and reports when it answers again. Without that the
 * breaker never opens.
 */
void redis_breaker_supervise(struct redis_breaker *breaker, bool supervised);

/* True when the server may be asked, false with the reason when there is no point. */
bool redis_breaker_allows(struct redis_breaker *breaker, struct why *why);

/* The server answered. `store` and `server` are for the log. */
void redis_breaker_answered(struct redis_breaker *breaker, const char *store, const char *server);

/*
 * It did not, when asked at `began` (clock_now_ms()): what is older than its last answer does not
 * count. Returns true when this has opened the breaker.
 */
bool redis_breaker_failed(struct redis_breaker *breaker, int64_t began, const char *reason,
                          const char *store, const char *server);

#endif
