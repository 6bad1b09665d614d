/*
 * What all masters of a Redis Cluster have, taken together. One thread.
 */
#ifndef GATEPOST_WRITE_CLUSTER_SCAN_H
#define GATEPOST_WRITE_CLUSTER_SCAN_H

#include "cluster_nodes.h"
#include "gatepost/core/why.h"
#include "gatepost/write/writer.h"

/*
 * As store_writer_scan(). No subject is missed because its slot went from one master to another
 * meanwhile.
 */
int cluster_scan_scan(struct cluster_nodes *cluster, store_take_subject *take, void *context,
                      struct why *why);

#endif
