/*
 * The walk over the names of one server. Owns the rule that only names with our prefixes are passed
 * on, as subjects, and that those of the histories are not.
 */
#include "redis_scan.h"
#include "implement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/core/store_key.h"
#include "gatepost/store/redis/scan.h"

/* The names of one of the two: those below the prefix, or self facts beside it. */
struct walk {
    const char *prefix;
    const char *subject; /* what their names begin with as subjects */
    const char *history; /* the name among them that is no subject's */
    const char *other;   /* a prefix within this one, which is another walk's; or NULL */
    store_take_subject *take;
    void *context;
};

/*
 * Returns as redis_scan(). A key below the prefix that only looks like the subject of self facts is
 * passed on whole: it is nobody's.
 */
static int take_name(const struct walk *walk, const redisReply *key) {
    size_t skip = strlen(walk->prefix), head = strlen(walk->subject), len = strlen(walk->history);
    if (key->len < skip ||
        (key->len - skip == len && memcmp(key->str + skip, walk->history, len) == 0) ||
        (walk->other != NULL && strncmp(key->str, walk->other, strlen(walk->other)) == 0))
        return 0;
    if (head == 0 && self_is_subject(key->str + skip))
        skip = 0;
    if (head == 0)
        return walk->take(walk->context, key->str + skip, key->len - skip);
    char *subject = malloc(head + key->len - skip + 1);
    if (subject == NULL)
        return -1;
    memcpy(subject, walk->subject, head);
    memcpy(subject + head, key->str + skip, key->len - skip + 1);
    int rc = walk->take(walk->context, subject, head + key->len - skip);
    free(subject);
    return rc;
}

static redisReply *ask_page(struct redis_client *talk, const char *cursor, const char *pattern,
                            struct why *why) {
    struct redis_command c = {0};
    redis_command_begin(&c, "SCAN");
    redis_command_add(&c, cursor);
    redis_command_add(&c, "MATCH");
    redis_command_add(&c, pattern);
    redis_command_add(&c, "COUNT");
    redis_command_add(&c, "1000");
    redisReply *reply = redis_client_ask(talk, &c, why);
    redis_command_clear(&c);
    if (reply == NULL || redis_scan_is_page(reply))
        return reply;
    why_set(why, "SCAN: an answer that is no list of keys");
    freeReplyObject(reply);
    return NULL;
}

static int walk_names(struct redis_client *talk, const struct walk *walk, struct why *why) {
    char cursor[32] = "0", *pattern = redis_scan_pattern(walk->prefix, "*");
    int rc = pattern == NULL ? why_set(why, "no memory") : 0;
    do {
        redisReply *reply = rc == 0 ? ask_page(talk, cursor, pattern, why) : NULL;
        if (reply == NULL) {
            rc = -1;
            break;
        }
        snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
        const redisReply *names = reply->element[1];
        for (size_t i = 0; rc == 0 && i < names->elements; i++)
            if (take_name(walk, names->element[i]) != 0)
                rc = why_set(why, "no memory");
        freeReplyObject(reply);
    } while (rc == 0 && strcmp(cursor, "0") != 0);
    free(pattern);
    return rc;
}

int redis_scan(struct redis_client *talk, store_take_subject *take, void *context,
               struct why *why) {
    char *self_prefix = store_key_self_prefix(talk->prefix);
    if (self_prefix == NULL)
        return why_set(why, "no memory");
    const struct walk policy = {talk->prefix, "", "history", self_prefix, take, context};
    const struct walk own = {self_prefix, SELF_SUBJECT, &SELF_HISTORY[strlen(SELF_SUBJECT)],
                             NULL,        take,         context};
    int rc = walk_names(talk, &policy, why);
    if (rc == 0)
        rc = walk_names(talk, &own, why);
    free(self_prefix);
    return rc;
}
