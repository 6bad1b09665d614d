/*
 * The networks of one configuration. Owns which of its lists names which network, and the members
 * that it gives them itself; those of the store are network_loader.c's.
 */
#include "gatepost/cache/networks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "network_loader.h"

/* A network as a list of the configuration names it. */
struct named_network {
    const struct netset *fixed; /* the configuration's members; NULL for none */
    struct loaded_network *loaded;
};

/* A list of the configuration with its names resolved. */
struct network_list {
    const struct config_list *names;
    struct named_network *networks; /* as many, in the same order */
    size_t n;                       /* of them so far; all once it is open */
};

struct networks {
    struct network_loader *loader;
    size_t n;
    struct network_list lists[];
};

static int open_list(struct networks *networks, const struct config *config,
                     const struct config_list *names, struct why *why) {
    struct network_list *list = &networks->lists[networks->n];
    *list =
        (struct network_list){.names = names, .networks = calloc(names->n, sizeof *list->networks)};
    if (list->networks == NULL)
        return why_set(why, "no memory");
    networks->n++;
    for (; list->n < names->n; list->n++) {
        struct named_network *network = &list->networks[list->n];
        const struct config_network *own = config_network(config, names->items[list->n]);
        network->fixed = own == NULL ? NULL : own->members;
        if (network_loader_want(networks->loader, names->items[list->n], own == NULL,
                                &network->loaded, why) != 0)
            return -1;
    }
    return 0;
}

int networks_open(const struct config *config, struct live_store *store, struct networks **out,
                  struct why *why) {
    struct networks *networks =
        calloc(1, sizeof *networks + (2 * config->n_listeners + 1) * sizeof(struct network_list));
    if (networks == NULL)
        return why_set(why, "no memory");
    networks->loader = store->networks;
    int rc = 0;
    if (config->trusted.n > 0)
        rc = open_list(networks, config, &config->trusted, why);
    for (size_t i = 0; rc == 0 && i < config->n_listeners; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (listener->connect_from.n > 0)
            rc = open_list(networks, config, &listener->connect_from, why);
        if (rc == 0 && listener->real_client_from.n > 0)
            rc = open_list(networks, config, &listener->real_client_from, why);
    }
    if (rc != 0)
        networks_free(networks);
    else
        *out = networks;
    return rc;
}

void networks_free(struct networks *networks) {
    if (networks == NULL)
        return;
    for (size_t i = 0; i < networks->n; i++) {
        struct network_list *list = &networks->lists[i];
        for (size_t j = 0; j < list->n; j++)
            network_loader_give_back(networks->loader, list->networks[j].loaded,
                                     list->networks[j].fixed == NULL);
        free(list->networks);
    }
    free(networks);
}

static const struct network_list *find_list(const struct networks *networks,
                                            const struct config_list *names) {
    for (size_t i = 0; i < networks->n; i++)
        if (networks->lists[i].names == names)
            return &networks->lists[i];
    return NULL;
}

struct network_answer networks_contain(const struct networks *networks,
                                       const struct config_list *names,
                                       const struct ip_address *client, char *member,
                                       size_t member_size) {
    struct network_answer answer = {.membership = MEMBER_NO};
    if (names->n == 0)
        return answer;
    const struct network_list *list = find_list(networks, names);
    if (list == NULL) /* another configuration's: nothing is known of it */
        return (struct network_answer){.membership = MEMBER_UNKNOWN};
    for (size_t i = 0; i < list->n; i++) {
        const struct named_network *network = &list->networks[i];
        bool first = answer.membership == MEMBER_NO; /* whose member is the one to name */
        if (network->fixed != NULL && netset_contains(network->fixed, client))
            return (struct network_answer){.membership = MEMBER_YES};
        enum membership membership =
            loaded_network_contains(network->loaded, client, member, first ? member_size : 0);
        if (membership == MEMBER_YES || membership == MEMBER_UNKNOWN)
            answer = (struct network_answer){.membership = membership};
        else if (membership == MEMBER_MALFORMED && first)
            answer = (struct network_answer){membership,
                                             {loaded_network_subject(network->loaded), member}};
        if (membership == MEMBER_YES)
            break;
    }
    return answer;
}
