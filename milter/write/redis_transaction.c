/*
 * Changing a subject in Redis. Owns the commands of the transaction and of its history; which
 * server they go to, and what follows from an error, is its callers' business.
 */
#include "redis_transaction.h"
#include "implement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/store/redis/errors.h"

static int queue_word(struct redis_client *talk, struct redis_command *c, const char *word) {
    redis_command_begin(c, word);
    return redis_client_queue(talk, c);
}

/* What is set, or what goes; the number of commands, or -1. */
static int queue_fields(struct redis_client *talk, struct redis_command *c, const char *key,
                        const struct store_edit *edit, bool set) {
    size_t fields = 0;
    redis_command_begin(c, set ? "HSET" : "HDEL");
    redis_command_add(c, key);
    for (size_t i = 0; i < edit->n; i++) {
        const struct store_change *change = &edit->changes[i];
        if ((change->new_value.text != NULL) != set)
            continue;
        redis_command_add_octets(c, change->field.text, change->field.len);
        if (set)
            redis_command_add_octets(c, change->new_value.text, change->new_value.len);
        fields++;
    }
    return fields == 0 ? 0 : redis_client_queue(talk, c) != 0 ? -1 : 1;
}

static void add_pair(struct redis_command *c, const char *name, struct store_text value) {
    if (value.text == NULL)
        return;
    redis_command_add(c, name);
    redis_command_add_octets(c, value.text, value.len);
}

static void add_text(struct redis_command *c, const char *name, const char *value) {
    if (value != NULL)
        add_pair(c, name, (struct store_text){value, strlen(value)});
}

/* An entry of the history; `state` only with the last one, `at` only where it is wanted. */
static int queue_entry(struct redis_client *talk, struct redis_command *c,
                       const struct redis_scribe *scribe, const struct store_edit *edit,
                       const struct store_change *change, const char *state, const char *at) {
    char kept[24];
    snprintf(kept, sizeof kept, "%d", HISTORY_KEPT);
    redis_command_begin(c, "XADD");
    redis_command_add(c, scribe->stream);
    redis_command_add(c, "MAXLEN");
    redis_command_add(c, "~");
    redis_command_add(c, kept);
    redis_command_add(c, "*");
    add_text(c, "actor", edit->actor != NULL ? edit->actor : scribe->actor);
    add_text(c, "client", edit->client);
    add_text(c, "subject", edit->subject);
    add_pair(c, "field", change->field);
    add_pair(c, "old", change->old);
    add_pair(c, "new", change->new_value);
    add_text(c, "state", state);
    add_text(c, "at", at);
    return redis_client_queue(talk, c);
}

/* All entries of an edit; a key that is no hash has one without a field. Their number, or -1. */
static int queue_entries(struct redis_client *talk, struct redis_command *c,
                         const struct redis_scribe *scribe, const struct store_edit *edit,
                         const char *at) {
    static const struct store_change whole = {.field = {"", 0}};
    const struct store_change *changes = edit->n == 0 ? &whole : edit->changes;
    size_t n = edit->n == 0 ? 1 : edit->n;
    char state[20];
    int rc = 0;
    snprintf(state, sizeof state, "%016llx", (unsigned long long)edit->state);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = queue_entry(talk, c, scribe, edit, &changes[i], i + 1 == n ? state : NULL, at);
    return rc == 0 ? (int)n : -1;
}

/* The number of commands, or -1. */
static int queue_changes(struct redis_client *talk, struct redis_command *c,
                         const struct store_edit *edit) {
    char *key = redis_client_key(talk, edit->subject);
    int n = 0, rc = key == NULL ? -1 : 0;
    if (rc == 0 && edit->drop && edit->n == 0) { /* no hash: it has no fields to remove */
        redis_command_begin(c, "DEL");
        redis_command_add(c, key);
        rc = redis_client_queue(talk, c);
        n++;
    }
    for (int set = 0; rc == 0 && set <= 1; set++) {
        int queued = queue_fields(talk, c, key, edit, set);
        rc = queued < 0 ? -1 : 0;
        n += queued;
    }
    free(key);
    return rc == 0 ? n : -1;
}

/* Returns the number of replies that are still to come, or -1 with the reason. */
static int begin_transaction(struct redis_client *talk, struct redis_command *c, bool asking,
                             struct why *why) {
    int n = asking ? 2 : 1;
    if ((asking && queue_word(talk, c, "ASKING") != 0) || queue_word(talk, c, "MULTI") != 0)
        return why_set(why, "no memory");
    if (talk->transacts)
        return n;
    if (redis_client_flush(talk, why) != 0)
        return -1;
    talk->transacts = true;
    for (int i = 0; i < n; i++) {
        redisReply *reply = redis_client_reply(talk, why);
        if (reply == NULL)
            return -1;
        if (reply->type == REDIS_REPLY_ERROR) {
            redis_error_judge(reply->str, i + 1 == n ? "MULTI" : "ASKING", NULL, why);
            talk->transacts = false;
        }
        freeReplyObject(reply);
    }
    return talk->transacts ? 0 : -1;
}

/* What is between MULTI and EXEC; the number of commands, or -1. */
static int queue_errand(struct redis_client *talk, struct redis_command *c,
                        const struct redis_errand *errand) {
    char at[24];
    snprintf(at, sizeof at, "%lld", (long long)errand->at);
    if (errand->history)
        return queue_entries(talk, c, errand->scribe, errand->edit, at);
    int n = queue_changes(talk, c, errand->edit);
    int told = n < 0 ? -1
               : errand->scribe->stream != NULL
                   ? queue_entries(talk, c, errand->scribe, errand->edit, NULL)
               : queue_word(talk, c, "TIME") == 0 ? 1
                                                  : -1;
    return told < 0 ? -1 : n + told;
}

int redis_transaction_queue(struct redis_client *talk, struct redis_command *c,
                            const struct redis_errand *errand, struct why *why) {
    int begun = begin_transaction(talk, c, errand->asking, why);
    if (begun < 0)
        return -1;
    int n = queue_errand(talk, c, errand);
    if (n >= 0 && queue_word(talk, c, "EXEC") == 0)
        return begun + n + 1;
    return why_set(why, "no memory");
}

/* ---- replies ---- */

static void note_error(struct redis_transaction_outcome *out, const redisReply *reply) {
    if (out->error[0] == '\0')
        snprintf(out->error, sizeof out->error, "%s", reply->str);
}

/* What EXEC answers: of all commands only TIME's answer is a list. */
static void take_results(const redisReply *reply, struct redis_transaction_outcome *out) {
    out->done = true;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *one = reply->element[i];
        if (one->type == REDIS_REPLY_ERROR)
            note_error(out, one);
        else if (one->type == REDIS_REPLY_ARRAY && one->elements == 2 &&
                 one->element[0]->type == REDIS_REPLY_STRING &&
                 one->element[1]->type == REDIS_REPLY_STRING)
            out->at = strtoll(one->element[0]->str, NULL, 10) * 1000000 +
                      strtoll(one->element[1]->str, NULL, 10);
    }
}

int redis_transaction_take(struct redis_client *talk, int n, struct redis_transaction_outcome *out,
                           struct why *why) {
    *out = (struct redis_transaction_outcome){0};
    for (int i = 0; i < n; i++) {
        redisReply *reply = redis_client_reply(talk, why);
        if (reply == NULL)
            return -1;
        if (reply->type == REDIS_REPLY_ERROR)
            note_error(out, reply);
        else if (reply->type == REDIS_REPLY_ARRAY)
            take_results(reply, out);
        else if (i + 1 == n && reply->type == REDIS_REPLY_NIL)
            out->conflict = true;
        freeReplyObject(reply);
    }
    return 0;
}
