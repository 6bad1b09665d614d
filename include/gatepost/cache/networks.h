/*
 * Named networks: the members that the configuration gives them and those that the store does.
 *
 * Members from the store are loaded by a thread of this module's, never by a look-up, and a
 * network is replaced whole when it has changed. Look-ups may come from any thread.
 */
#ifndef GATEPOST_CACHE_NETWORKS_H
#define GATEPOST_CACHE_NETWORKS_H

#include "gatepost/cache/live_store.h"
#include "gatepost/config/config.h"
#include "gatepost/core/why.h"

struct networks;

/*
 * Takes the networks that the configuration names in `trusted` and `connect_from` and follows the
 * store. What `last` (NULL for none) has of the same store serves until it is loaded anew; what is
 * new is loaded before this returns. A store that does not answer is no error: such a network is
 * unknown until it does. Configuration and store must outlive the result. Returns 0 and the
 * networks, owned by the caller, or -1 with the reason.
 */
int networks_open(const struct config *config, struct live_store *store, struct networks *last,
                  struct networks **out, struct why *why);

void networks_free(struct networks *networks);

/*
 * Is the client in one of the named networks? `from` of the answer lasts until the next change of
 * the network: it is copied into `member`, of `member_size` octets.
 */
struct network_answer networks_contain(struct networks *networks, const struct config_list *names,
                                       const struct ip_address *client, char *member,
                                       size_t member_size);

#endif
