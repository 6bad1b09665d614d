/*
 * A set of IP addresses built once from CIDR blocks and then only asked.
 *
 * Blocks are merged into sorted, disjoint ranges, IPv4 and IPv6 apart, behind an index by leading
 * bits; a look-up is a short binary search and allocates nothing. A built set never changes: any
 * number of threads may ask it.
 */
#ifndef GATEPOST_CORE_NETSET_H
#define GATEPOST_CORE_NETSET_H

#include "gatepost/core/netblock.h"

struct netset;

/*
 * Builds a set of the `n` blocks, in any order, overlapping or not; n may be 0. The blocks are
 * not kept. Returns the set, owned by the caller, or NULL when there is no memory.
 */
struct netset *netset_new(const struct netblock *blocks, size_t n);

void netset_free(struct netset *set);

/* Is the address in one of the blocks? IP_NONE never is. */
bool netset_contains(const struct netset *set, const struct ip_address *ip);

/* Octets of memory that the set holds. */
size_t netset_memory(const struct netset *set);

#endif
