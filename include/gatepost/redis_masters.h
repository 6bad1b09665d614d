/*
 * What all masters of a Redis Cluster have, taken together. One thread.
 */
#ifndef GATEPOST_REDIS_MASTERS_H
#define GATEPOST_REDIS_MASTERS_H

#include "gatepost/redis_cluster.h"
#include "gatepost/store_writer.h"

/*
 * As store_writer_scan(). No subject is missed because its slot went from one master to another
 * meanwhile.
 */
int redis_masters_scan(struct redis_cluster *cluster, store_take_subject *take, void *context,
                       char *why, size_t why_size);

/* As store_writer_examine(); after a scan it looks for masters that have lost what they had. */
int redis_masters_examine(struct redis_cluster *cluster, store_take_complaint *take, void *context,
                          char *why, size_t why_size);

#endif
