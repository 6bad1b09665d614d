/*
 * Whether a Redis server may throw policy away.
 */
#ifndef GATEPOST_WRITE_REDIS_EVICTION_H
#define GATEPOST_WRITE_REDIS_EVICTION_H

#include "gatepost/core/why.h"
#include "gatepost/write/writer.h"
#include "redis_client.h"

/* As store_writer_examine(), of that server; `name` is what complaints call it. */
int redis_eviction(struct redis_client *talk, const char *name, store_take_complaint *take,
                   void *context, struct why *why);

#endif
