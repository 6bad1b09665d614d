/*
 * Redis's error answers. Owns their table: what each means for the store, and the advice for the
 * operator that goes into the log, and the syntax of a cluster's redirections. Pure.
 */
#include "gatepost/store/redis/errors.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of an answer so much is shown at the most. */
#define ANSWER_SHOWN 200

#define LOOK_AT_LOGIN "see store_user and store_password_file"

static const struct {
    const char *begins;
    enum redis_fault fault;
    const char *advice; /* NULL: the answer says it all */
} table[] = {
    {"WRONGTYPE", FAULT_TYPE, NULL},
    {"MOVED", FAULT_MOVED, "this server belongs to a Redis Cluster: use redis+cluster://"},
    {"ASK", FAULT_ASK, "this server belongs to a Redis Cluster: use redis+cluster://"},
    {"LOADING", FAULT_LATER, "it is still loading its data from disk"},
    {"MASTERDOWN", FAULT_LATER,
     "it is a replica without a connection to its master, and has replica-serve-stale-data no"},
    {"CLUSTERDOWN", FAULT_LATER, "see redis-cli --cluster check"},
    {"TRYAGAIN", FAULT_LATER, "a slot is being moved to another node"},
    {"BUSY", FAULT_LATER, "it is busy with a script: SCRIPT KILL or FUNCTION KILL ends it"},
    {"UNKILLABLE", FAULT_LATER, "it is busy with a script"},
    {"ERR max number of clients", FAULT_LATER,
     "its maxclients is reached: raise it, or find out which client uses the connections"},
    {"DENIED", FAULT_LATER,
     "its protected mode allows only clients on the same host: set a password or bind an address"},
    {"MISCONF", FAULT_REFUSED, "it cannot save its data to disk: its log says why"},
    {"OOM", FAULT_REFUSED, "its maxmemory is reached: raise it, or find out what fills it"},
    {"READONLY", FAULT_REFUSED, "it is a replica: policy is written to the store of the master"},
    {"NOREPLICAS", FAULT_REFUSED,
     "it has fewer replicas up to date than its min-replicas-to-write"},
    {"NOPERM", FAULT_REFUSED,
     "the Redis user lacks a permission: see gatepost.acl, gatepostctl.acl, "
     "gatepost-settings.acl"},
    {"NOAUTH", FAULT_LOGIN, LOOK_AT_LOGIN},
    {"WRONGPASS", FAULT_LOGIN, LOOK_AT_LOGIN},
    {"ERR invalid password", FAULT_LOGIN, LOOK_AT_LOGIN},
    {"ERR AUTH", FAULT_LOGIN, "store_password_file is set, but this Redis has no password"},
    {"ERR Client sent AUTH", FAULT_LOGIN,
     "store_password_file is set, but this Redis has no password"},
    {"ERR DB index is out of range", FAULT_REFUSED, "the database of the store URL does not exist"},
    {"ERR unknown command", FAULT_REFUSED,
     "the command was removed in its configuration (rename-command), or this Redis is too old"},
};

/* How much of an answer is shown: not the command's own words, which follow in some. */
static int shown(const char *answer) {
    const char *words = strstr(answer, ", with args beginning with:");
    return words != NULL && words < answer + ANSWER_SHOWN ? (int)(words - answer) : ANSWER_SHOWN;
}

enum redis_fault redis_error_judge(const char *answer, const char *command, const char *key,
                                   struct why *why) {
    static const char aborted[] = "EXECABORT Transaction discarded because of: ";
    enum redis_fault fault = FAULT_REFUSED;
    const char *advice = NULL, *cause = answer;
    if (strncmp(answer, aborted, sizeof aborted - 1) == 0)
        cause += sizeof aborted - 1;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strncmp(cause, table[i].begins, strlen(table[i].begins)) == 0) {
            fault = table[i].fault;
            advice = table[i].advice;
            break;
        }
    }
    why_set(why, "%s%s%s%s%.*s%s%s%s", command == NULL ? "" : command, key == NULL ? "" : " ",
            key == NULL ? "" : key, command == NULL ? "" : ": ", shown(answer), answer,
            advice == NULL ? "" : " (", advice == NULL ? "" : advice, advice == NULL ? "" : ")");
    return fault;
}

int redis_redirect_read(const char *error, struct redis_redirect *out) {
    bool moved = strncmp(error, "MOVED ", 6) == 0;
    const char *address = strrchr(error, ' ');
    const char *colon = strrchr(error, ':');
    if ((!moved && strncmp(error, "ASK ", 4) != 0) || address == NULL || colon == NULL ||
        colon < address)
        return -1;
    size_t len = (size_t)(colon - address - 1);
    long port = strtol(colon + 1, NULL, 10);
    if (len >= sizeof out->host || port < 1 || port > 65535)
        return -1;
    memcpy(out->host, address + 1, len);
    out->host[len] = '\0';
    if (strcmp(out->host, "?") == 0) /* cluster-preferred-endpoint-type unknown-endpoint */
        out->host[0] = '\0';
    out->port = (int)port;
    out->kind = moved ? REDIRECT_MOVED : REDIRECT_ASK;
    return 0;
}
