/*
 * Time for deadlines.
 */
#ifndef GATEPOST_BASE_CLOCK_H
#define GATEPOST_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Monotonic time in milliseconds and in microseconds; any thread. */
int64_t clock_now_ms(void);
int64_t clock_now_us(void);

/* A condition whose timed waits end by this clock, and a deadline as they take it. */
void clock_cond_init(pthread_cond_t *condition);
struct timespec clock_timespec(int64_t deadline_ms);

#endif
