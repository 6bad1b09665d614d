/*
 * The names of all subjects that one Redis server has.
 */
#ifndef GATEPOST_REDIS_SCAN_H
#define GATEPOST_REDIS_SCAN_H

#include "gatepost/redis_talk.h"
#include "gatepost/store_writer.h"

/* As store_writer_scan(), of that server. */
int redis_scan(struct redis_talk *talk, store_take_subject *take, void *context, char *why,
               size_t why_size);

#endif
