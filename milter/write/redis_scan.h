/*
 * The names of all subjects that one Redis server has.
 */
#ifndef GATEPOST_WRITE_REDIS_SCAN_H
#define GATEPOST_WRITE_REDIS_SCAN_H

#include "gatepost/core/why.h"
#include "gatepost/write/writer.h"
#include "redis_client.h"

/* As store_writer_scan(), of that server. */
int redis_scan(struct redis_client *talk, store_take_subject *take, void *context, struct why *why);

#endif
