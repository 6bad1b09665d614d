/*
 * Time for deadlines.
 */
#ifndef GATEPOST_CLOCK_H
#define GATEPOST_CLOCK_H

#include <stdint.h>

/* Monotonic time in milliseconds and in microseconds; any thread. */
int64_t clock_now_ms(void);
int64_t clock_now_us(void);

#endif
