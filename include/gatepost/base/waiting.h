/*
 * Waiting without holding up others.
 *
 * A session waits in a thread of libmilter's pool, and the pool starts no thread for events that
 * became ready together: they would wait for one another. So whoever is about to wait long says so,
 * and the filter makes the pool start one (relief). A wait of less than WAITING_GRACE needs none,
 * unless somebody else is waiting long already: then it is asked for at once, so that many who
 * begin to wait at the same time are not served one grace after the other.
 *
 *     struct waiting w = waiting_begin(deadline);
 *     while (!ready && rc >= 0)
 *         rc = waiting_poll(&w, fds, n);
 *     waiting_end(&w);
 *
 * Any thread; a struct waiting belongs to one.
 */
#ifndef GATEPOST_BASE_WAITING_H
#define GATEPOST_BASE_WAITING_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Milliseconds. */
#define WAITING_GRACE 8

struct waiting {
    int64_t deadline; /* clock_now_ms() */
    bool relieved;
};

/* What makes room for others; must not block. Set before threads start, NULL for nothing. */
void waiting_set_relief(void (*relief)(void));

/* The calling thread is none of libmilter's pool: its waits hold up nobody, and ask for nothing. */
void waiting_holds_up_nobody(void);

struct waiting waiting_begin(int64_t deadline);
void waiting_end(struct waiting *w);

/*
 * As poll(2), until the deadline. Returns how many descriptors are ready, 0 once the deadline has
 * passed, or -1 with errno; a signal is waited over.
 */
int waiting_poll(struct waiting *w, struct pollfd *fds, nfds_t n);

/*
 * Waits on its own until one descriptor is ready for `events`. Returns 1, 0 once the deadline has
 * passed, also for one that is ready all the time, or -1 with errno.
 */
int waiting_fd(int fd, short events, int64_t deadline);

/*
 * As pthread_cond_timedwait(3) on a condition of clock_cond_init(), until the deadline. Returns 0,
 * also when nothing was signalled (the mutex may have been let go meanwhile: look again), or
 * ETIMEDOUT once the deadline has passed.
 */
int waiting_cond(struct waiting *w, pthread_cond_t *cond, pthread_mutex_t *mutex);

#endif
