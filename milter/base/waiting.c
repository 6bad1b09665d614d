/*
 * Waiting. Owns when relief is asked for; what it is, is the filter's.
 */
#include "gatepost/base/waiting.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#include "gatepost/base/clock.h"

static void (*relief)(void);
static atomic_int waiting_long; /* those that have asked for relief and wait on */

void waiting_set_relief(void (*given)(void)) {
    relief = given;
}

static _Thread_local bool alone; /* nobody waits for this thread */

void waiting_holds_up_nobody(void) {
    alone = true;
}

static void relieve(struct waiting *w) {
    w->relieved = true;
    atomic_fetch_add_explicit(&waiting_long, 1, memory_order_relaxed);
    if (relief != NULL)
        relief();
}

struct waiting waiting_begin(int64_t deadline) {
    return (struct waiting){.deadline = deadline, .relieved = alone};
}

void waiting_end(struct waiting *w) {
    if (w->relieved && !alone)
        atomic_fetch_sub_explicit(&waiting_long, 1, memory_order_relaxed);
    w->relieved = false;
}

/* How long to wait before looking whether relief is due. */
static int64_t limit_of(struct waiting *w, int64_t now) {
    if (!w->relieved && atomic_load_explicit(&waiting_long, memory_order_relaxed) > 0)
        relieve(w);
    if (w->relieved || w->deadline - now <= WAITING_GRACE)
        return w->deadline;
    return now + WAITING_GRACE;
}

int waiting_poll(struct waiting *w, struct pollfd *fds, nfds_t n) {
    for (;;) {
        int64_t now = clock_now_ms(), limit = limit_of(w, now), left = limit - now;
        int rc = poll(fds, n, left <= 0 ? 0 : left > 1000000 ? 1000000 : (int)left);
        if (rc > 0 || (rc < 0 && errno != EINTR))
            return rc;
        now = clock_now_ms();
        if (now >= w->deadline)
            return 0;
        if (!w->relieved && now >= limit)
            relieve(w);
    }
}

int waiting_fd(int fd, short events, int64_t deadline) {
    struct pollfd pfd = {.fd = fd, .events = events};
    struct waiting w = waiting_begin(deadline);
    /* also of one whose octets keep flowing: the deadline is for all of them */
    int rc = clock_now_ms() >= deadline ? 0 : waiting_poll(&w, &pfd, 1);
    waiting_end(&w);
    return rc;
}

int waiting_cond(struct waiting *w, pthread_cond_t *cond, pthread_mutex_t *mutex) {
    int64_t now = clock_now_ms(), limit = w->deadline;
    bool due = !w->relieved && atomic_load_explicit(&waiting_long, memory_order_relaxed) > 0;
    if (!due) {
        if (!w->relieved && now + WAITING_GRACE < limit)
            limit = now + WAITING_GRACE;
        struct timespec until = clock_timespec(limit);
        int rc = pthread_cond_timedwait(cond, mutex, &until);
        if (rc != ETIMEDOUT || clock_now_ms() >= w->deadline)
            return rc;
        due = !w->relieved;
    }
    if (due) {
        pthread_mutex_unlock(mutex); /* it makes a system call, which others need not wait for */
        relieve(w);
        pthread_mutex_lock(mutex);
    }
    return 0;
}
