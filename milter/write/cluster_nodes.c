/*
 * Redis Cluster for tools. Owns the connections to its nodes, the following of redirections and
 * how often that is tried; who has which slot is map.c's, what is asked its callers'.
 */
#include "cluster_nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gatepost/base/clock.h"
#include "gatepost/core/store_key.h"
#include "gatepost/store/cluster/slot.h"
#include "gatepost/store/redis/errors.h"

/* A slot that moves while it is asked for needs two; the pauses between all add up to 0.75 s. */
#define TRIES 5
#define PAUSE 50

int cluster_nodes_init(struct cluster_nodes *cluster, const struct store_settings *settings,
                       const struct store_url *url, struct why *why) {
    *cluster = (struct cluster_nodes){.timeout = settings->timeout};
    cluster->prefix = strdup(settings->key_prefix);
    if (cluster->prefix == NULL)
        return why_set(why, "no memory");
    return redis_map_open(settings, url, &cluster->map, why);
}

void cluster_nodes_clear(struct cluster_nodes *cluster) {
    for (struct redis_member *member = cluster->members, *next; member != NULL; member = next) {
        next = member->next;
        redis_client_clear(&member->talk);
        redis_map_release(cluster->map, member->node);
        free(member);
    }
    redis_map_free(cluster->map);
    free(cluster->prefix);
}

int cluster_nodes_slot(const struct cluster_nodes *cluster, const char *subject, unsigned *slot) {
    char *key = store_key_make(cluster->prefix, subject);
    if (key == NULL)
        return -1;
    *slot = redis_slot(key, strlen(key));
    free(key);
    return 0;
}

/* ---- members ---- */

static struct redis_member *add_member(struct cluster_nodes *cluster, struct redis_node *node) {
    char name[REDIS_NAME_SIZE];
    struct redis_server server = redis_pool_server(node->pool);
    struct redis_member *member = calloc(1, sizeof *member);
    if (member == NULL ||
        redis_client_init_pool(&member->talk, node->pool, cluster->prefix, cluster->timeout) != 0) {
        free(member);
        return NULL;
    }
    snprintf(member->name, sizeof member->name, "node %s", redis_server_name(&server, name));
    member->node = node;
    member->next = cluster->members;
    cluster->members = member;
    return member;
}

/* The member for a node, which this takes over or gives back. NULL: no memory. */
static struct redis_member *member_of(struct cluster_nodes *cluster, struct redis_node *node) {
    struct redis_member *member = cluster->members;
    while (member != NULL && member->node != node)
        member = member->next;
    if (member == NULL && (member = add_member(cluster, node)) != NULL)
        return member;
    redis_map_release(cluster->map, node);
    return member;
}

struct redis_member *cluster_nodes_member(struct cluster_nodes *cluster, const char *host,
                                          int port) {
    struct redis_node *node = redis_map_redirected(cluster->map, host, port);
    return node == NULL ? NULL : member_of(cluster, node);
}

static int check_role(struct redis_member *member, struct why *why) {
    struct redis_command c = {0};
    redis_command_begin(&c, "ROLE");
    redisReply *reply = redis_client_ask(&member->talk, &c, why);
    redis_command_clear(&c);
    int rc = reply == NULL ? -1 : redis_conn_check_role(reply, why);
    freeReplyObject(reply);
    if (rc != 0)
        redis_client_disconnect(&member->talk);
    return rc;
}

int cluster_nodes_connect(struct cluster_nodes *cluster, struct redis_member *member) {
    struct why why;
    if (member->problem.text[0] != '\0')
        return -1;
    if (member->talk.conn != NULL)
        return 0;
    if (redis_client_connect(&member->talk, &why) == 0 && check_role(member, &why) == 0)
        return 0;
    why_set(&member->problem, "%.90s: %s", member->name, why.text);
    redis_map_doubt(cluster->map);
    return -1;
}

int cluster_nodes_masters(struct cluster_nodes *cluster, struct why *why) {
    redis_map_doubt(cluster->map); /* what is known may be old by now */
    for (struct redis_member *member = cluster->members; member != NULL; member = member->next)
        member->slots = 0;
    for (unsigned slot = 0; slot < REDIS_SLOTS; slot++) {
        struct redis_node *node = redis_map_find(cluster->map, slot, cluster->deadline, why);
        struct redis_member *member = node == NULL ? NULL : member_of(cluster, node);
        if (node != NULL && member == NULL)
            why_set(why, "no memory");
        if (member == NULL)
            return -1;
        member->slots++;
    }
    return 0;
}

bool cluster_nodes_again(struct cluster_nodes *cluster, struct redis_tries *tries) {
    int64_t pause = (int64_t)PAUSE << tries->n >> 1;
    if (tries->n == 0)
        tries->began = clock_now_ms();
    else if (tries->n == TRIES || clock_now_ms() > tries->began + cluster->timeout)
        return false;
    else
        nanosleep(&(struct timespec){.tv_nsec = pause * 1000000}, NULL);
    tries->n++;
    cluster->deadline = clock_now_ms() + cluster->timeout;
    for (struct redis_member *member = cluster->members; member != NULL; member = member->next)
        member->problem.text[0] = '\0';
    return true;
}

/* ---- routes ---- */

int cluster_route_open(struct cluster_nodes *cluster, struct cluster_route *route) {
    if (route->to == NULL) {
        struct redis_node *node =
            redis_map_find(cluster->map, route->slot, cluster->deadline, &route->why);
        route->asking = false;
        if (node == NULL) {
            redis_map_doubt(cluster->map);
            return -1;
        }
        route->to = member_of(cluster, node);
    }
    if (route->to == NULL)
        return why_set(&route->why, "no memory");
    if (cluster_nodes_connect(cluster, route->to) == 0)
        return 0;
    why_set(&route->why, "%s", route->to->problem.text);
    route->to = NULL;
    return -1;
}

bool cluster_route_refused(struct cluster_nodes *cluster, struct cluster_route *route,
                           const char *error) {
    struct redis_redirect to;
    struct why reason;
    struct redis_member *from = route->to;
    bool redirected = redis_redirect_read(error, &to) == 0;
    enum redis_fault fault = redis_error_judge(error, NULL, NULL, &reason);
    why_set(&route->why, "%.90s: %s", from->name, reason.text);
    if (redirected)
        why_set(&route->why, "%.90s: %.250s (its slot is on its way)", from->name, error);
    if (redirected) {
        route->to =
            cluster_nodes_member(cluster, to.host[0] != '\0' ? to.host : from->node->host, to.port);
        route->asking = to.kind == REDIRECT_ASK;
        return true;
    }
    if (fault != FAULT_LATER)
        return false;
    route->to = NULL;
    redis_map_doubt(cluster->map);
    return true;
}

/* The reply, an error too; NULL with the reason in the route: the connection is broken. */
static redisReply *ask_there(struct cluster_nodes *cluster, struct cluster_route *route,
                             const struct redis_command *command) {
    struct redis_client *talk = &route->to->talk;
    struct redis_command asking = {0};
    redisReply *reply = NULL;
    struct why why = {"no memory"};
    int rc = 0;
    redis_command_begin(&asking, "ASKING");
    if (route->asking)
        rc = redis_client_queue(talk, &asking);
    redis_command_clear(&asking);
    if (rc == 0)
        rc = redis_client_queue(talk, command);
    if (rc == 0)
        rc = redis_client_flush(talk, &why);
    if (rc == 0 && route->asking) {
        redisReply *taken = redis_client_reply(talk, &why);
        rc = taken == NULL ? -1 : 0;
        freeReplyObject(taken);
    }
    if (rc == 0)
        reply = redis_client_reply(talk, &why);
    if (reply != NULL)
        return reply;
    redis_client_disconnect(talk);
    why_set(&route->why, "%.90s: %s", route->to->name, why.text);
    route->to = NULL;
    redis_map_doubt(cluster->map);
    return NULL;
}

redisReply *cluster_nodes_ask(struct cluster_nodes *cluster, struct cluster_route *route,
                              const struct redis_command *command, struct why *why) {
    struct redis_tries tries = {0};
    bool again = true;
    while (again && cluster_nodes_again(cluster, &tries)) {
        redisReply *reply =
            cluster_route_open(cluster, route) == 0 ? ask_there(cluster, route, command) : NULL;
        if (reply != NULL && reply->type != REDIS_REPLY_ERROR)
            return reply;
        if (reply != NULL)
            again = cluster_route_refused(cluster, route, reply->str);
        freeReplyObject(reply);
    }
    why_set(why, "%s", route->why.text);
    return NULL;
}
