/*
 * Named networks: the members that the configuration gives them and those that the store does.
 *
 * Members from the store are loaded by a thread of this module's, never by a look-up, and a
 * network is replaced whole when it has changed. Look-ups may come from any thread.
 */
#ifndef GATEPOST_NETWORKS_H
#define GATEPOST_NETWORKS_H

#include "gatepost/config.h"
#include "gatepost/store.h"

struct networks;

/*
 * Takes the networks that the configuration names in `trusted` and `connect_from` and loads them
 * once. A store that does not answer is no error: such a network is unknown until it does. Both
 * must outlive the result. Returns 0 and the networks, owned by the caller, or -1 with the reason.
 */
int networks_open(const struct config *config, struct store *store, const char *key_prefix,
                  struct networks **out, char *why, size_t why_size);

/* To be called before store and configuration are freed. */
void networks_free(struct networks *networks);

/* What the store's watch tells: what may have changed is loaded again. Does not block. */
void networks_told(struct networks *networks, enum store_event event, const char *subject);

/*
 * Is the client in one of the named networks? `from` of the answer lasts until the next change of
 * the network: it is copied into `member`, of `member_size` octets.
 */
struct network_answer networks_contain(struct networks *networks, const struct config_list *names,
                                       const struct ip_address *client, char *member,
                                       size_t member_size);

#endif
