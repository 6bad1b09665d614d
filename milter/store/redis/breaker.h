/*
 * What is known about whether one server answers, so that not every session has to find out on its
 * own.
 *
 * Of look-ups that fail because the server is not there the third in a row opens the breaker: it
 * refuses at once, with the reason of the last failure, until somebody has seen the server answer.
 *
 * An answer that began and was late is the fault of its key. But when such answers were those of
 * BREAKER_LATE_MAX different keys, and no look-up had a whole one meanwhile, the server is at
 * fault, however well it answers a PING. The breaker opens too; then one look-up a second may try,
 * and a whole answer to one closes it, or any answer once nobody has tried for half a minute.
 *
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

#define BREAKER_LATE_MAX 5
#define BREAKER_TRIAL_INTERVAL 1000 /* in milliseconds, as is the next */
#define BREAKER_LATE_MEMORY 30000

struct redis_breaker {
    atomic_bool open;
    atomic_bool supervised;
    atomic_int failures;         /* in a row */
    atomic_int_least64_t answer; /* when the server last answered, clock_now_ms() */
    pthread_mutex_t lock;
    int64_t since;                   /* of the first failure; under lock, as is the next */
    char reason[400];                /* of the last failure */
    uint64_t late[BREAKER_LATE_MAX]; /* what stands for the keys; n_late of them, in a row */
    atomic_size_t n_late;            /* changed under lock */
    atomic_bool slow;                /* open for late answers, and nothing else; likewise */
    int64_t trial;                   /* when the next look-up may try; under lock, as is the next */
    int64_t last_late;               /* when an answer was late */
};

void redis_breaker_init(struct redis_breaker *breaker);
void redis_breaker_destroy(struct redis_breaker *breaker);

/*
 * From now on somebody looks after the server and reports when it answers again. Without that the
 * breaker never opens.
 */
void redis_breaker_supervise(struct redis_breaker *breaker, bool supervised);

/*
 * True when the server may be asked, false with the reason when there is no point. While it is open
 * for late answers a true is the turn of this caller to try.
 */
bool redis_breaker_allows(struct redis_breaker *breaker, struct why *why);

/* Nothing that an answer could change: it need not be reported. */
bool redis_breaker_is_calm(const struct redis_breaker *breaker);

/* The server answered, whatever it was asked. `store` and `server` are for the log. */
void redis_breaker_answered(struct redis_breaker *breaker, const char *store, const char *server);

/*
 * It did not, when asked at `began` (clock_now_ms()): what is older than its last answer does not
 * count. Returns true when this has opened the breaker.
 */
bool redis_breaker_failed(struct redis_breaker *breaker, int64_t began, const char *reason,
                          const char *store, const char *server);

/* A look-up got a whole answer for a key. */
void redis_breaker_served(struct redis_breaker *breaker, const char *store, const char *server);

/*
 * The answer for a key, which `key` stands for, to a look-up of `began` had begun and was late.
 * Returns true when this has opened the breaker.
 */
bool redis_breaker_late(struct redis_breaker *breaker, uint64_t key, int64_t began,
                        const char *reason, const char *store, const char *server);

/* It is open, and any answer of the server would close it. */
bool redis_breaker_awaits_answer(const struct redis_breaker *breaker);

#endif
