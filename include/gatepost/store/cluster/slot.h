/*
 * The hash slots of a Redis Cluster. Pure.
 */
#ifndef GATEPOST_STORE_CLUSTER_SLOT_H
#define GATEPOST_STORE_CLUSTER_SLOT_H

#include <stddef.h>

#define REDIS_SLOTS 16384

/*
 * The slot of a key: CRC16 (XMODEM) of it, or of what stands in its first pair of braces when that
 * is not empty.
 */
unsigned redis_slot(const char *key, size_t len);

#endif
