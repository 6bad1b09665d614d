/*
 * The runtime of new sessions. Owns which one that is.
 */
#include "gatepost/session/runtime.h"

#include <pthread.h>

static struct runtime *current;
static pthread_mutex_t current_lock = PTHREAD_MUTEX_INITIALIZER;

void runtime_publish(struct runtime *runtime) {
    pthread_mutex_lock(&current_lock);
    struct runtime *last = current;
    current = runtime;
    pthread_mutex_unlock(&current_lock);
    runtime_release(last);
}

struct runtime *runtime_current(void) {
    pthread_mutex_lock(&current_lock);
    struct runtime *runtime = current == NULL ? NULL : runtime_acquire(current);
    pthread_mutex_unlock(&current_lock);
    return runtime;
}
