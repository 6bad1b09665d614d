/*
 * The networks of a store: each loaded once, by one thread, for all configurations that name it.
 *
 * A network is replaced whole when the store reports a change of it, and is dropped when nobody
 * wants it any more. A store that does not answer is no error: what was loaded last serves on, and
 * a network that never was is unknown until it can be loaded. Any thread.
 */
#ifndef GATEPOST_CACHE_NETWORK_LOADER_H
#define GATEPOST_CACHE_NETWORK_LOADER_H

#include "gatepost/core/decision.h"
#include "gatepost/core/why.h"
#include "gatepost/store/store.h"

struct network_loader;
struct loaded_network;

/* `store` and `key_prefix` (for the log) must outlive it. NULL when there is no memory. */
struct network_loader *network_loader_new(struct store *store, const char *key_prefix);

/* Waits for the load in progress, if any. All networks must have been released. */
void network_loader_free(struct network_loader *loader);

/* What the store's watch says, as store_told. Does not block. */
void network_loader_note(struct network_loader *loader, enum store_event event,
                         const char *subject);

/*
 * The network of that name. One that has never been loaded is loaded, or found to be unknown,
 * before this returns. `bare`: the configuration that wants it has no members of its own for it, so
 * that it is worth a line in the log when the store has none either. Returns 0 and the network, to
 * be given back with the same `bare`, or -1 with the reason.
 */
int network_loader_want(struct network_loader *loader, const char *name, bool bare,
                        struct loaded_network **out, struct why *why);
void network_loader_give_back(struct network_loader *loader, struct loaded_network *network,
                              bool bare);

/*
 * Does the store list the client in the network? MEMBER_MALFORMED, when it does not and a member
 * that cannot be read might have: that is copied into `member`, of `member_size` octets.
 */
enum membership loaded_network_contains(struct loaded_network *network,
                                        const struct ip_address *client, char *member,
                                        size_t member_size);

/* "network:NAME"; the network's own text. */
const char *loaded_network_subject(const struct loaded_network *network);

#endif
