/*
 * The nodes of a cluster as a list. Owns their count of references and their pools; what they serve
 * is map.c's.
 */
#include "gatepost/store/cluster/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct redis_node *redis_node_find(struct redis_node *list, const char *host, int port) {
    while (list != NULL && (list->port != port || strcmp(list->host, host) != 0))
        list = list->next;
    return list;
}

struct redis_node *redis_node_add(struct redis_node **list, const char *host, int port,
                                  struct redis_login *login, struct redis_tls *tls,
                                  const char *store, void *owner) {
    struct redis_server server = {.port = port, .login = login, .tls = tls};
    struct redis_node *node = redis_node_find(*list, host, port);
    if (node != NULL)
        return node;
    node = calloc(1, sizeof *node);
    if (node == NULL)
        return NULL;
    snprintf(server.host, sizeof server.host, "%s", host);
    memcpy(node->host, server.host, sizeof node->host);
    node->port = port;
    node->owner = owner;
    node->pool = redis_pool_new(&server, store);
    if (node->pool == NULL) {
        free(node);
        return NULL;
    }
    node->references = 1;
    node->next = *list;
    *list = node;
    return node;
}

struct redis_node *redis_node_take_out(struct redis_node **list, bool all, int64_t now) {
    struct redis_node *out = NULL;
    for (struct redis_node **at = list; *at != NULL;) {
        struct redis_node *node = *at;
        if (all || (!node->serves && node->guest_until < now)) {
            *at = node->next;
            node->next = out;
            out = node;
        } else {
            at = &node->next;
        }
    }
    return out;
}

void redis_node_release(struct redis_node *node) {
    if (--node->references > 0)
        return;
    redis_pool_free(node->pool);
    free(node);
}
