/*
 * Threads for work that may wait. There are none at first; while work waits for a thread another
 * one is started, up to a limit, and it stays.
 */
#ifndef GATEPOST_BASE_WORKERS_H
#define GATEPOST_BASE_WORKERS_H

#include <stdbool.h>

/* A piece of work, inside what it is about; it is its owner's again when `run` is called. */
struct work {
    struct work *next;
    void (*run)(struct work *work);
};

struct workers;

/*
 * At most `threads` threads, and at most `waiting` pieces of work that wait for one. Returns 0 and
 * the workers, to be closed by the caller, or -1 when there is no memory.
 */
int workers_open(unsigned threads, unsigned waiting, struct workers **out);

/* Returns 0, or -1 when as many wait already as may, or no thread can be started. Any thread. */
int workers_give(struct workers *workers, struct work *work);

/* Does as much work wait as may? Any thread. */
bool workers_are_full(struct workers *workers);

/* Does what waits, and ends the threads. NULL is fine. */
void workers_close(struct workers *workers);

#endif
