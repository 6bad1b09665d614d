/*
 * Recording of use beside the verdicts: a bounded queue and a thread that writes to Redis.
 */
#ifndef GATEPOST_FILTER_USE_RECORDER_H
#define GATEPOST_FILTER_USE_RECORDER_H

#include "gatepost/config/config.h"

/*
 * Begins, ends or goes on with other settings, as the configuration says; the old thread is joined,
 * which takes at most two time-outs of the store. A failure is logged, and nothing is recorded. One
 * thread.
 */
void use_recorder_configure(const struct config *config);

/* Writes what is queued, for a second at most, and ends; fine when nothing was begun. One thread.
 */
void use_recorder_close(void);

#endif
