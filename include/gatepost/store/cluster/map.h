/*
 * The nodes of a Redis Cluster: who serves which slot now, a pool for each, and the watch on all of
 * them.
 *
 * While it is watched a thread of its own keeps the map true; until then it is asked for on need.
 * Any thread.
 */
#ifndef GATEPOST_STORE_CLUSTER_MAP_H
#define GATEPOST_STORE_CLUSTER_MAP_H

#include "gatepost/core/store_url.h"
#include "gatepost/core/why.h"
#include "gatepost/store/cluster/node.h"
#include "gatepost/store/store.h"

struct redis_map;

/*
 * For the cluster of a redis+cluster: or rediss+cluster: URL. The texts are copied. Returns 0 and
 * the map, owned by the caller, or -1 with the reason. Asks nobody yet.
 */
int redis_map_open(const struct store_settings *settings, const struct store_url *url,
                   struct redis_map **out, struct why *why);
/* All nodes must have been released. */
void redis_map_free(struct redis_map *map);

/*
 * The node that serves a slot, to be released. NULL with the reason in `why` when it is not known,
 * for which those who know are waited for until the deadline.
 */
struct redis_node *redis_map_find(struct redis_map *map, unsigned slot, int64_t deadline,
                                  struct why *why);

/*
 * The node at an address to which a node has redirected, to be released. One that is new is not
 * watched yet, so the store counts as lost from before this returns until it is. NULL: no memory.
 */
struct redis_node *redis_map_redirected(struct redis_map *map, const char *host, int port);

void redis_map_release(struct redis_map *map, struct redis_node *node);

/* A node was no help: it may be time for a new map. Does not wait. */
void redis_map_doubt(struct redis_map *map);

/* Every node answers, as far as is known. */
bool redis_map_is_up(struct redis_map *map);

/* As store_watch() and store_unwatch(). */
int redis_map_watch(struct redis_map *map, store_told *told, void *context);
void redis_map_unwatch(struct redis_map *map);

#endif
