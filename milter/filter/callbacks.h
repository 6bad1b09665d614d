/*
 * The filter as libmilter sees it. Only callbacks.c knows SMFICTX.
 */
#ifndef GATEPOST_FILTER_CALLBACKS_H
#define GATEPOST_FILTER_CALLBACKS_H

/* Registers the filter with libmilter, before its socket is opened. Returns 0, or -1. */
int callbacks_register(void);

#endif
