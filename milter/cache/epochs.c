/*
 * Epochs. Owns their numbers and ends, and the order in which both are written, so that nobody
 * needs a lock to read them; what is cached for how long is policy_cache.c's.
 */
#include "epochs.h"

/* A state is the number of the last epoch and how it is watched now. */
#define NUMBER(state) ((state) >> 2)
#define WATCHING(state) ((enum watching)((state)&3))
#define STATE(number, watching) ((number) << 2 | (watching))

uint64_t epochs_state(const struct epochs *epochs) {
    return atomic_load(&epochs->state);
}

/* The end is written before the state says that there is one. */
static void end_epoch(struct epochs *epochs, int64_t now) {
    uint64_t state = atomic_load(&epochs->state);
    if (WATCHING(state) == WATCHING_LOST)
        return;
    atomic_store(&epochs->ends[NUMBER(state) % EPOCHS_KEPT], now);
    atomic_store(&epochs->state, STATE(NUMBER(state), WATCHING_LOST));
}

static void begin_epoch(struct epochs *epochs, enum watching watching, int64_t now) {
    end_epoch(epochs, now);
    uint64_t number = NUMBER(atomic_load(&epochs->state)) + 1;
    atomic_store(&epochs->ends[number % EPOCHS_KEPT], 0);
    atomic_store(&epochs->state, STATE(number, watching));
}

void epochs_note(struct epochs *epochs, enum store_event event, int64_t now) {
    switch (event) {
    case STORE_CHANGED:
        break;
    case STORE_WATCHED:
        begin_epoch(epochs, WATCHING_ALL, now);
        break;
    case STORE_LOST:
        end_epoch(epochs, now);
        break;
    case STORE_BLIND:
        if (epochs_watching(epochs) != WATCHING_BLIND)
            begin_epoch(epochs, WATCHING_BLIND, now);
        break;
    }
}

bool epochs_hold(const struct epochs *epochs, const struct epoch_mark *asked) {
    uint64_t state = atomic_load(&epochs->state);
    return WATCHING(state) == WATCHING_ALL && NUMBER(state) == NUMBER(asked->state);
}

int64_t epochs_valid_at(const struct epochs *epochs, const struct epoch_mark *asked, int64_t now) {
    uint64_t number = NUMBER(asked->state);
    if (WATCHING(asked->state) != WATCHING_ALL)
        return asked->at;
    /* The state is read after the end: its place in the ring is another epoch's only once the
       state has come within one of that. */
    int64_t end = atomic_load(&epochs->ends[number % EPOCHS_KEPT]);
    if (NUMBER(atomic_load(&epochs->state)) - number >= EPOCHS_KEPT - 1)
        return asked->at;
    if (end == 0)
        end = now;
    return end > asked->at ? end : asked->at;
}

enum watching epochs_watching(const struct epochs *epochs) {
    return WATCHING(atomic_load(&epochs->state));
}

int64_t epochs_lost_for(const struct epochs *epochs, int64_t now) {
    uint64_t state = atomic_load(&epochs->state);
    if (WATCHING(state) != WATCHING_LOST)
        return 0;
    return now - atomic_load(&epochs->ends[NUMBER(state) % EPOCHS_KEPT]);
}
