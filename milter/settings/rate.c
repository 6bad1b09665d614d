/*
 * The rate of changes. Owns a table of fixed size; an account and an address have one of a few
 * places in it.
 */
#include "rate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/keyed_hash.h"

#define SETS 4096
#define WAYS 4

/* Room for an account, as the names of callers can be, and an address. */
#define NAMES_SIZE 2000

/* `empty_at` is when nothing of its burst will be used any more: a bucket that leaks. */
struct place {
    uint64_t who; /* the hash of account and address */
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

/* The place, or that of whom it matters least to forget. */
static struct place *find_locked(struct rate *rate, uint64_t who) {
    struct place *set = rate->places[who % SETS], *least = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].who == who)
            return &set[i];
        if (set[i].empty_at < least->empty_at)
            least = &set[i];
    }
    *least = (struct place){.who = who};
    return least;
}

static uint64_t hash_of(const char *account, const char *client) {
    char names[NAMES_SIZE];
    int len = snprintf(names, sizeof names, "%s %s", client, account);
    return keyed_hash(names, (size_t)len < sizeof names ? (size_t)len : sizeof names - 1);
}

static int64_t begin_of(const struct place *place, int64_t now) {
    return place->empty_at > now ? place->empty_at : now;
}

unsigned rate_take(struct rate *rate, const char *account, const char *client, int64_t now) {
    uint64_t hash = hash_of(account, client);
    unsigned wait = 0;
    pthread_mutex_lock(&rate->lock);
    struct place *place = find_locked(rate, hash);
    int64_t from = begin_of(place, now);
    int64_t late = from + RATE_INTERVAL - (now + (int64_t)RATE_BURST * RATE_INTERVAL);
    if (late > 0)
        wait = (unsigned)((late + 999) / 1000);
    else
        place->empty_at = from + RATE_INTERVAL;
    pthread_mutex_unlock(&rate->lock);
    return wait;
}

void rate_spend(struct rate *rate, const char *account, const char *client, size_t n, int64_t now) {
    uint64_t hash = hash_of(account, client);
    pthread_mutex_lock(&rate->lock);
    struct place *place = find_locked(rate, hash);
    place->empty_at = begin_of(place, now) + (int64_t)n * RATE_INTERVAL;
    pthread_mutex_unlock(&rate->lock);
}
