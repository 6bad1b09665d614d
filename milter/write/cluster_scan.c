/*
 * The walk over all masters of a cluster. Owns what it takes to see everything while slots move,
 * and what is odd about one master beside the others.
 */
#include "cluster_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/store/cluster/slot.h"
#include "redis_scan.h"

/* The line "ID HOST:PORT@BUS ..." of a node in the answer to CLUSTER NODES; NULL. */
static const char *line_of(const char *nodes, const char *id, size_t id_len) {
    while (nodes != NULL && (strncmp(nodes, id, id_len) != 0 || nodes[id_len] != ' ')) {
        nodes = strchr(nodes, '\n');
        nodes = nodes == NULL ? NULL : nodes + 1;
    }
    return nodes;
}

/* NULL: there is no such node, or no memory. */
static struct redis_member *member_by_id(struct cluster_nodes *cluster, const char *nodes,
                                         const char *id, size_t id_len) {
    char host[256];
    const char *line = line_of(nodes, id, id_len);
    const char *address = line == NULL ? "" : line + id_len + 1;
    size_t colon = strcspn(address, "@ \n");
    while (colon > 0 && address[colon] != ':')
        colon--;
    if (colon == 0 || colon >= sizeof host)
        return NULL;
    snprintf(host, sizeof host, "%.*s", (int)colon, address);
    return cluster_nodes_member(cluster, host, atoi(address + colon + 1));
}

/* Those to whom slots are on their way, "[SLOT->-ID]": they may have none of their own yet. */
static int walk_receivers(struct cluster_nodes *cluster, const char *nodes, const char *slots) {
    static const char arrow[] = "->-";
    const char *at = slots;
    while ((at = strstr(at, arrow)) != NULL) {
        at += sizeof arrow - 1;
        struct redis_member *member = member_by_id(cluster, nodes, at, strcspn(at, "] "));
        if (member == NULL)
            return -1;
        member->walked = true;
    }
    return 0;
}

/* Into `told`: the slots of a master, including those that are being moved. */
static int ask_slots(struct cluster_nodes *cluster, struct redis_member *member, char **told,
                     struct why *why) {
    struct redis_command c = {0};
    struct why reason;
    *told = NULL;
    if (cluster_nodes_connect(cluster, member) != 0)
        return why_set(why, "%s", member->problem.text);
    redis_command_begin(&c, "CLUSTER");
    redis_command_add(&c, "NODES");
    redisReply *reply = redis_client_ask(&member->talk, &c, &reason);
    redis_command_clear(&c);
    const char *line = reply == NULL || reply->str == NULL ? NULL : strstr(reply->str, " myself,");
    const char *slots = line == NULL ? NULL : strstr(line, " connected");
    if (slots != NULL)
        *told = strndup(slots, strcspn(slots, "\n"));
    if (reply != NULL && (*told == NULL || walk_receivers(cluster, reply->str, *told) != 0))
        why_set(&reason, "CLUSTER NODES: an unknown answer");
    else if (reply != NULL)
        reason.text[0] = '\0';
    freeReplyObject(reply);
    if (reason.text[0] == '\0')
        return 0;
    return why_set(why, "%s: %s", member->name, reason.text);
}

struct counting {
    store_take_subject *take;
    void *context;
    size_t n;
};

static int count(void *context, const char *name, size_t len) {
    struct counting *counting = context;
    counting->n++;
    return counting->take(counting->context, name, len);
}

static int scan_member(struct cluster_nodes *cluster, struct redis_member *member,
                       store_take_subject *take, void *context, struct why *why) {
    struct counting counting = {.take = take, .context = context};
    struct why reason;
    if (cluster_nodes_connect(cluster, member) != 0)
        return why_set(why, "%s", member->problem.text);
    int rc = redis_scan(&member->talk, count, &counting, &reason);
    member->found = counting.n;
    if (rc != 0)
        why_set(why, "%s: %s", member->name, reason.text);
    return rc;
}

/* Who is to be walked over, each asked for its slots. */
static int begin_walk(struct cluster_nodes *cluster, struct why *why) {
    int rc = cluster_nodes_masters(cluster, why);
    for (struct redis_member *m = cluster->members; m != NULL; m = m->next)
        m->walked = m->slots > 0;
    for (struct redis_member *m = cluster->members; rc == 0 && m != NULL; m = m->next)
        if (m->slots > 0)
            rc = ask_slots(cluster, m, &m->told, why);
    return rc;
}

/* *moving when a subject may have gone where this had been before. */
static int end_walk(struct cluster_nodes *cluster, bool *moving, struct why *why) {
    int rc = 0;
    *moving = false;
    for (struct redis_member *m = cluster->members; rc == 0 && m != NULL; m = m->next) {
        char *now = NULL;
        if (m->slots == 0)
            continue;
        rc = ask_slots(cluster, m, &now, why);
        *moving = *moving || rc != 0 || strcmp(now, m->told) != 0 || strchr(now, '[') != NULL;
        free(now);
    }
    return rc;
}

static int scan_all(struct cluster_nodes *cluster, store_take_subject *take, void *context,
                    bool *moving, struct why *why) {
    int rc = begin_walk(cluster, why);
    for (struct redis_member *m = cluster->members; rc == 0 && m != NULL; m = m->next)
        if (m->walked)
            rc = scan_member(cluster, m, take, context, why);
    if (rc == 0)
        rc = end_walk(cluster, moving, why);
    for (struct redis_member *m = cluster->members; m != NULL; m = m->next) {
        free(m->told);
        m->told = NULL;
    }
    return rc;
}

static int scan_in_tries(struct cluster_nodes *cluster, store_take_subject *take, void *context,
                         bool *moving, struct why *why) {
    struct redis_tries tries = {0};
    int rc = -1;
    while (rc != 0 && cluster_nodes_again(cluster, &tries))
        rc = scan_all(cluster, take, context, moving, why);
    return rc;
}

/* What was moved meanwhile is found the second time. */
int cluster_scan_scan(struct cluster_nodes *cluster, store_take_subject *take, void *context,
                      struct why *why) {
    bool moving;
    int rc = scan_in_tries(cluster, take, context, &moving, why);
    if (rc == 0 && moving)
        rc = scan_in_tries(cluster, take, context, &moving, why);
    return rc;
}
