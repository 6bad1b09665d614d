/*
 * The members of a network. Owns the way from the facts of a hash to a set of blocks, and the
 * report of what is malformed in them; when to read them is network_loader.c's.
 */
#include "network_members.h"

#include <stdlib.h>
#include <string.h>

#include "gatepost/base/log.h"
#include "gatepost/base/metrics.h"

/* Malformed members of one network that are logged; the others are only counted. */
#define LOGGED_MAX 10

/* Members on their way from the store. */
struct reading {
    const char *key;
    struct netblock *blocks;
    size_t n, room, n_malformed;
    char *malformed;
};

static void note_malformed(struct reading *r, const struct store_field *field, const char *why) {
    if (r->n_malformed++ >= LOGGED_MAX) { /* a whole list of another kind need not fill the log */
        metrics_malformed();
        return;
    }
    char *name = strndup(field->name, field->name_len);
    log_malformed(r->key, name, why);
    if (r->malformed == NULL)
        r->malformed = name;
    else
        free(name);
}

static int take_member(void *context, const struct store_field *field) {
    struct reading *r = context;
    struct why why;
    if (r->n == r->room) {
        size_t room = r->room == 0 ? 64 : r->room * 2;
        struct netblock *grown = realloc(r->blocks, room * sizeof *grown);
        if (grown == NULL)
            return -1;
        r->blocks = grown;
        r->room = room;
    }
    if (netblock_parse(field->name, field->name_len, &r->blocks[r->n], &why) == 0)
        r->n++;
    else
        note_malformed(r, field, why.text);
    return 0;
}

struct network_members *network_members_load(struct store *store, const char *subject,
                                             const char *key, struct why *why) {
    struct reading r = {.key = key};
    int answer = store_walk(store, subject, take_member, &r, why);
    struct network_members *members = NULL;
    if (answer >= 0) {
        members = calloc(1, sizeof *members);
        if (members == NULL || (members->set = netset_new(r.blocks, r.n)) == NULL) {
            why_set(why, "no memory");
            free(members);
            members = NULL;
        }
    }
    if (members != NULL) {
        members->malformed = r.malformed;
        members->wrong_type = answer == STORE_WRONG_TYPE;
        members->absent = answer == STORE_ABSENT;
        r.malformed = NULL;
    }
    if (answer == STORE_WRONG_TYPE)
        log_malformed(key, NULL, "wrong type: the key must be a hash");
    free(r.malformed);
    free(r.blocks);
    return members;
}

void network_members_free(struct network_members *members) {
    if (members == NULL)
        return;
    netset_free(members->set);
    free(members->malformed);
    free(members);
}
