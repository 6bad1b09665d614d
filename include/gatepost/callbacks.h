/*
 * The filter as libmilter sees it. Only callbacks.c knows SMFICTX.
 */
#ifndef GATEPOST_CALLBACKS_H
#define GATEPOST_CALLBACKS_H

#include "gatepost/runtime.h"

/*
 * Registers the filter with libmilter. New sessions begin with the runtime; a reference of the
 * caller's is taken over. Called once, before smfi_main(). Returns 0, or -1.
 */
int callbacks_register(struct runtime *runtime);

/* Gives the runtime back; no session may begin any more. */
void callbacks_close(void);

#endif
