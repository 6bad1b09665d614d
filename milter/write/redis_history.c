/*
 * Reading the history from Redis. Owns how an entry of the stream is read; redis_transaction.c
 * writes them.
 */
#include "redis_history.h"
#include "implement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/store/redis/errors.h"

int redis_history_check(struct redis_client *talk, const char *stream, struct why *why) {
    struct redis_command c = {0};
    redis_command_begin(&c, "XRANGE");
    redis_command_add(&c, stream);
    redis_command_add(&c, "+");
    redis_command_add(&c, "-"); /* nothing is wanted of it */
    redisReply *reply = redis_client_answer(talk, &c, why);
    redis_command_clear(&c);
    bool misplaced = reply != NULL && reply->type == REDIS_REPLY_ERROR &&
                     redis_error_judge(reply->str, "XRANGE", NULL, why) == FAULT_TYPE;
    if (misplaced)
        why_set(why, "%s is not a stream and cannot hold the history: delete it (redis-cli DEL)",
                stream);
    freeReplyObject(reply);
    return misplaced || talk->conn == NULL ? -1 : 0; /* with the connection goes what is watched */
}

struct redis_page redis_history_begin(int64_t since) {
    struct redis_page page = {.more = true};
    snprintf(page.from, sizeof page.from, "%lld", (long long)(since > 0 ? since : 0));
    return page;
}

void redis_history_ask(const struct redis_page *page, struct redis_command *command,
                       const char *stream) {
    redis_command_begin(command, "XRANGE");
    redis_command_add(command, stream);
    redis_command_add(command, page->from);
    redis_command_add(command, "+");
    redis_command_add(command, "COUNT");
    redis_command_add(command, "1000");
}

static struct store_text *entry_part(struct history_entry *entry, const char *name) {
    return strcmp(name, "actor") == 0     ? &entry->actor
           : strcmp(name, "client") == 0  ? &entry->client
           : strcmp(name, "subject") == 0 ? &entry->subject
           : strcmp(name, "field") == 0   ? &entry->field
           : strcmp(name, "old") == 0     ? &entry->old
           : strcmp(name, "new") == 0     ? &entry->new_value
           : strcmp(name, "state") == 0   ? &entry->state
                                          : NULL;
}

/* An entry of a stream: its id, and a list of names and values. */
static bool is_entry(const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_ARRAY)
        return false;
    const redisReply *pairs = reply->element[1];
    for (size_t i = 0; i < pairs->elements; i++)
        if (pairs->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

static int take_entry(const redisReply *reply, store_take_history *take, void *context) {
    struct history_entry entry = {.time = strtoll(reply->element[0]->str, NULL, 10)};
    const redisReply *pairs = reply->element[1];
    for (size_t i = 0; i + 1 < pairs->elements; i += 2) {
        const redisReply *name = pairs->element[i], *value = pairs->element[i + 1];
        struct store_text *part = entry_part(&entry, name->str);
        if (part != NULL)
            *part = (struct store_text){value->str, value->len};
        else if (strcmp(name->str, "at") == 0)
            entry.at = strtoll(value->str, NULL, 10);
    }
    return take(context, &entry);
}

int redis_history_take(struct redis_page *page, const redisReply *reply, store_take_history *take,
                       void *context) {
    size_t n = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
    page->more = n > 0;
    for (size_t i = 0; i < n; i++) {
        const redisReply *one = reply->element[i];
        if (!is_entry(one))
            continue;
        if (take_entry(one, take, context) != 0)
            return -1;
        snprintf(page->from, sizeof page->from, "(%s", one->element[0]->str);
    }
    return 0;
}

/* ---- the order of a cluster's history ---- */

/*
 * How late an entry may come, in milliseconds: somewhat more than a writer has patience. `at` is by
 * the clock of the node that had the subject; another node may have the history, with another
 * clock.
 */
#define LATE_MAX 10000

static bool is_before(const struct history_entry *a, const struct history_entry *b) {
    return a->at != 0 && a->at < b->at && a->subject.len == b->subject.len &&
           memcmp(a->subject.text, b->subject.text, a->subject.len) == 0;
}

/* Where entry `i` belongs among those before it, which are in order. */
static size_t place_of(const struct history_entry *entries, size_t i) {
    size_t place = i;
    for (size_t k = i; k > 0 && entries[k - 1].time >= entries[i].time - LATE_MAX; k--)
        if (is_before(&entries[i], &entries[k - 1]))
            place = k - 1;
    return place;
}

void history_order(struct history_entry *entries, size_t n) {
    for (size_t i = 1; i < n; i++) {
        size_t place = place_of(entries, i);
        if (place == i)
            continue;
        struct history_entry late = entries[i];
        late.time = entries[place].time; /* it was made no later than what it goes before */
        memmove(&entries[place + 1], &entries[place], (i - place) * sizeof late);
        entries[place] = late;
    }
}
