/*
 * The rate of changes. Owns a table of fixed size; an account has one of a few places in it.
 */
#include "rate.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/keyed_hash.h"

#define SETS 4096
#define WAYS 4

/* `empty_at` is when nothing of its burst will be used any more: a bucket that leaks. */
struct place {
    uint64_t account; /* its hash */
    int64_t empty_at;
};

struct rate {
    pthread_mutex_t lock;
    struct place places[SETS][WAYS];
};

struct rate *rate_new(void) {
    struct rate *rate = calloc(1, sizeof *rate);
    if (rate != NULL)
        pthread_mutex_init(&rate->lock, NULL);
    return rate;
}

void rate_free(struct rate *rate) {
    if (rate == NULL)
        return;
    pthread_mutex_destroy(&rate->lock);
    free(rate);
}

/* The account's place, or that of whom it matters least to forget. */
static struct place *find_locked(struct rate *rate, uint64_t account) {
    struct place *set = rate->places[account % SETS], *least = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].account == account)
            return &set[i];
        if (set[i].empty_at < least->empty_at)
            least = &set[i];
    }
    *least = (struct place){.account = account};
    return least;
}

unsigned rate_take(struct rate *rate, const char *account, int64_t now) {
    uint64_t hash = keyed_hash(account, strlen(account));
    unsigned wait = 0;
    pthread_mutex_lock(&rate->lock);
    struct place *place = find_locked(rate, hash);
    int64_t from = place->empty_at > now ? place->empty_at : now;
    int64_t late = from + RATE_INTERVAL - (now + (int64_t)RATE_BURST * RATE_INTERVAL);
    if (late > 0)
        wait = (unsigned)((late + 999) / 1000);
    else
        place->empty_at = from + RATE_INTERVAL;
    pthread_mutex_unlock(&rate->lock);
    return wait;
}
