/*
 * Names of sessions: a random part for the process, and a running number.
 */
#include "session_id.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

unsigned session_id_next(void) {
    static atomic_uint running;
    return atomic_fetch_add(&running, 1) + 1;
}

void session_id_format(unsigned number, char out[static SESSION_ID_SIZE]) {
    static atomic_uint random_part;
    unsigned part = atomic_load(&random_part);
    if (part == 0) {
        unsigned fresh = 0, none = 0;
        if (getrandom(&fresh, sizeof fresh, 0) != sizeof fresh || fresh == 0)
            fresh = (unsigned)time(NULL);
        part = atomic_compare_exchange_strong(&random_part, &none, fresh) ? fresh : none;
    }
    snprintf(out, SESSION_ID_SIZE, "%08x-%x", part, number);
}
