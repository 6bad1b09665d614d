/*
 * Epochs: whether an answer of the store is known to hold still, and until when it was known to.
 *
 * An epoch is a time without a gap in which every change is heard of, or (blind) in which a store
 * that reports no changes answers. A new one begins whenever changes may have gone unheard before,
 * and an answer of another epoch has to be asked for again. An answer is marked with the moment of
 * its question, taken before the question is sent; what changes later is then never missed.
 *
 * Changes of single subjects are not the epochs' business. Times are milliseconds of one clock that
 * never goes back; this module does not read it. Any thread may ask; epochs_note() is called by
 * one at a time.
 */
#ifndef GATEPOST_CACHE_EPOCHS_H
#define GATEPOST_CACHE_EPOCHS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "gatepost/cache/watching.h"
#include "gatepost/store/store.h"

/* Ends of epochs that are kept, in a ring: those of the last EPOCHS_KEPT - 2 before this one. */
#define EPOCHS_KEPT 16

/* All zero: nothing was ever watched. */
struct epochs {
    atomic_uint_fast64_t state;
    atomic_int_fast64_t ends[EPOCHS_KEPT]; /* 0: it has not ended */
};

/* The moment of a question. */
struct epoch_mark {
    uint64_t state; /* epochs_state(), at `at` or before it */
    int64_t at;
};

/* The epoch and how it is watched, for a mark. */
uint64_t epochs_state(const struct epochs *epochs);

/*
 * What the store's watch says at time `now`: STORE_WATCHED begins an epoch, STORE_LOST ends it,
 * STORE_BLIND begins one unless the last is blind as well. STORE_CHANGED does nothing.
 */
void epochs_note(struct epochs *epochs, enum store_event event, int64_t now);

/*
 * Is the epoch of the question still going on, with every change heard of? Then what was answered
 * holds, except for those. In a blind epoch nothing is known to hold.
 */
bool epochs_hold(const struct epochs *epochs, const struct epoch_mark *asked);

/*
 * The last moment at which the answer is known to have held, except for changes that were heard
 * of: the end of the question's epoch, `now` while that goes on; the question itself where changes
 * were not heard of, or where the end is no longer kept.
 */
int64_t epochs_valid_at(const struct epochs *epochs, const struct epoch_mark *asked, int64_t now);

enum watching epochs_watching(const struct epochs *epochs);

/* Milliseconds since the last epoch ended; 0 while one goes on; `now` when there never was one. */
int64_t epochs_lost_for(const struct epochs *epochs, int64_t now);

#endif
