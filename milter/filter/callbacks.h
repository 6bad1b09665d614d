/*
 * The filter as libmilter sees it. Only callbacks.c knows SMFICTX.
 */
#ifndef GATEPOST_FILTER_CALLBACKS_H
#define GATEPOST_FILTER_CALLBACKS_H

#include "gatepost/session/runtime.h"

/* Registers the filter with libmilter, before its socket is opened. Returns 0, or -1. */
int callbacks_register(void);

/*
 * New sessions begin with this runtime; the caller's reference is taken over, and that of the one
 * before is given back. NULL: none begins any more. Any thread.
 */
void runtime_publish(struct runtime *runtime);

/* A reference to the runtime that new sessions begin with, or NULL. Any thread. */
struct runtime *runtime_current(void);

#endif
