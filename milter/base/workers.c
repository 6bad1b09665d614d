/*
 * Threads for work that may wait. Owns when another one is started.
 */
#include "gatepost/base/workers.h"

#include <pthread.h>
#include <stdlib.h>

#include "gatepost/base/waiting.h"

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct work *first, **end; /* under lock, as all that follows */
    unsigned n_waiting, max_waiting;
    unsigned n_threads, max_threads, idle;
    bool ending;
    pthread_t threads[];
};

int workers_open(unsigned threads, unsigned waiting, struct workers **out) {
    struct workers *workers = calloc(1, sizeof *workers + threads * sizeof *workers->threads);
    if (workers == NULL)
        return -1;
    workers->max_threads = threads;
    workers->max_waiting = waiting;
    workers->end = &workers->first;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->given, NULL);
    *out = workers;
    return 0;
}

static struct work *take_locked(struct workers *workers) {
    struct work *work = workers->first;
    if (work == NULL)
        return NULL;
    workers->first = work->next;
    if (workers->first == NULL)
        workers->end = &workers->first;
    workers->n_waiting--;
    return work;
}

static void *run_worker(void *arg) {
    struct workers *workers = arg;
    struct work *work;
    waiting_holds_up_nobody();
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while ((work = take_locked(workers)) != NULL) {
            pthread_mutex_unlock(&workers->lock);
            work->run(work);
            pthread_mutex_lock(&workers->lock);
        }
        if (workers->ending)
            break;
        workers->idle++;
        pthread_cond_wait(&workers->given, &workers->lock);
        workers->idle--;
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* False when nobody is there to do the work. */
static bool find_thread_locked(struct workers *workers) {
    if (workers->idle > workers->n_waiting) {
        pthread_cond_signal(&workers->given);
        return true;
    }
    if (workers->n_threads < workers->max_threads &&
        pthread_create(&workers->threads[workers->n_threads], NULL, run_worker, workers) == 0)
        workers->n_threads++;
    return workers->n_threads > 0;
}

int workers_give(struct workers *workers, struct work *work) {
    int rc = -1;
    pthread_mutex_lock(&workers->lock);
    if (workers->n_waiting < workers->max_waiting && find_thread_locked(workers)) {
        work->next = NULL;
        *workers->end = work;
        workers->end = &work->next;
        workers->n_waiting++;
        rc = 0;
    }
    pthread_mutex_unlock(&workers->lock);
    return rc;
}

bool workers_are_full(struct workers *workers) {
    pthread_mutex_lock(&workers->lock);
    bool full = workers->n_waiting >= workers->max_waiting;
    pthread_mutex_unlock(&workers->lock);
    return full;
}

void workers_close(struct workers *workers) {
    if (workers == NULL)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    pthread_cond_broadcast(&workers->given);
    pthread_mutex_unlock(&workers->lock);
    for (unsigned i = 0; i < workers->n_threads; i++)
        pthread_join(workers->threads[i], NULL);
    pthread_cond_destroy(&workers->given);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}
