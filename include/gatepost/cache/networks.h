/*
 * The networks of a configuration: the members that it gives them itself, and beside them those
 * that the store has.
 *
 * Members from the store belong to the live store, which loads them for all configurations that
 * share it; never on a look-up. Look-ups may come from any thread.
 */
#ifndef GATEPOST_CACHE_NETWORKS_H
#define GATEPOST_CACHE_NETWORKS_H

#include "gatepost/cache/live_store.h"
#include "gatepost/config/config.h"
#include "gatepost/core/decision.h"
#include "gatepost/core/why.h"

struct networks;

/*
 * Takes the networks that the configuration names in `trusted` and in its listeners. Those that the
 * live store has not loaded yet are loaded before this returns. A store that does not answer is no
 * error: such a network is unknown until it does. Configuration and store must outlive the result.
 * Returns 0 and the networks, owned by the caller, or -1 with the reason.
 */
int networks_open(const struct config *config, struct live_store *store, struct networks **out,
                  struct why *why);

/* The live store drops what nobody else wants. */
void networks_free(struct networks *networks);

/*
 * Is the client in one of the networks of a list? `names` is a list of
 * the configuration itself, not a copy: its names were resolved by networks_open(). Of the answer's
 * `from` the subject lasts as long as the networks; the field is copied into `member`, of
 * `member_size` octets.
 */
struct network_answer networks_contain(const struct networks *networks,
                                       const struct config_list *names,
                                       const struct ip_address *client, char *member,
                                       size_t member_size);

#endif
