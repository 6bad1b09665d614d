/*
 * The record of use in Redis. Owns its keys and what stands in them; who is recorded, and when, is
 * the filter's business.
 */
#include "gatepost/write/use.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "beside.h"
#include "gatepost/core/timestamp.h"

struct use_store {
    struct beside keys;
};

#define VALUE_SIZE (2 * TIMESTAMP_SIZE + 1)

char *use_prefix(const char *key_prefix) {
    return key_prefix_beside(key_prefix, "use");
}

int use_store_open(const struct store_settings *settings, struct use_store **out, struct why *why) {
    struct use_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return why_set(why, "no memory");
    if (beside_open(&store->keys, settings, "use", why) != 0) {
        free(store);
        return -1;
    }
    *out = store;
    return 0;
}

void use_store_free(struct use_store *store) {
    if (store == NULL)
        return;
    beside_clear(&store->keys);
    free(store);
}

const char *use_block(const struct ip_address *client, char out[static USE_BLOCK_SIZE]) {
    struct ip_address masked = *client;
    char text[IP_TEXT_SIZE];
    size_t kept = client->family == IP_V4 ? 3 : 6, size = client->family == IP_V4 ? 4 : 16;
    if (client->family == IP_NONE) {
        snprintf(out, USE_BLOCK_SIZE, "unknown");
        return out;
    }
    memset(masked.bytes + kept, 0, size - kept);
    ip_format(&masked, text);
    snprintf(out, USE_BLOCK_SIZE, "%s/%zu", text, kept * 8);
    return out;
}

static int run(struct use_store *store, const char *name, const char *account, const char *word,
               const char *other, struct why *why) {
    const char *const words[4] = {name, word, other};
    return beside_run(&store->keys, account, words, why);
}

/* "LAST FIRST"; false when it is something else. */
static bool read_times(const char *value, int64_t *last, int64_t *first) {
    size_t len = strcspn(value, " ");
    return timestamp_parse(value, len, last) == 0 && value[len] == ' ' &&
           timestamp_parse(value + len + 1, strlen(value + len + 1), first) == 0;
}

static const char *write_times(int64_t last, int64_t first, char out[static VALUE_SIZE]) {
    char a[TIMESTAMP_SIZE], b[TIMESTAMP_SIZE];
    snprintf(out, VALUE_SIZE, "%s %s", timestamp_format(last, a), timestamp_format(first, b));
    return out;
}

/* What the record says before a use is put into it. */
struct found {
    int64_t first;      /* of the same field; of one that is not there now */
    const char *oldest; /* the field to make room, NULL while there is some; lasts as the reply */
    bool has_block;
    size_t n;
};

static struct found look(const redisReply *reply, const char *field, const struct use *use) {
    struct found found = {.first = use->now};
    int64_t oldest = INT64_MAX;
    bool there = false;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const char *name = reply->element[i]->str, *space = strchr(name, ' ');
        int64_t last = 0, first; /* what cannot be read goes first */
        bool good = read_times(reply->element[i + 1]->str, &last, &first);
        found.n++;
        found.has_block |= space != NULL && strcmp(space + 1, use->block) == 0;
        if (strcmp(name, field) == 0) {
            there = true;
            found.first = good ? first : use->now;
        } else if (last < oldest) {
            oldest = last;
            found.oldest = name;
        }
    }
    if (there || found.n < USE_FIELDS_MAX)
        found.oldest = NULL;
    return found;
}

/* When the service was recorded first, by what is read of "*"; now, if it never was. */
static int64_t service_first(const redisReply *all, const struct use *use) {
    for (size_t i = 0; i + 1 < all->elements; i += 2) {
        int64_t last, first;
        if (strcmp(all->element[i]->str, use->service) == 0 &&
            read_times(all->element[i + 1]->str, &last, &first))
            return first;
    }
    return use->now;
}

/* That there is a record at all, since when, and that this service is in it. */
static int note_service(struct use_store *store, const struct use *use, struct why *why) {
    char value[VALUE_SIZE], now[TIMESTAMP_SIZE];
    redisReply *all = beside_read(&store->keys, "*", why);
    if (all == NULL)
        return -1;
    write_times(use->now, service_first(all, use), value);
    int rc = run(store, "HSETNX", "*", "since", timestamp_format(use->now, now), why);
    if (rc == 0)
        rc = run(store, "HSET", "*", use->service, value, why);
    freeReplyObject(all);
    return rc;
}

int use_note(struct use_store *store, const struct use *use, int64_t kept,
             struct use_before *before, struct why *why) {
    char field[100], value[VALUE_SIZE], seconds[24];
    snprintf(field, sizeof field, "%s %s", use->service, use->block);
    redisReply *reply = beside_read(&store->keys, use->account, why);
    if (reply == NULL)
        return -1;
    const struct found found = look(reply, field, use);
    before->new_source = found.n > 0 && !found.has_block;
    snprintf(seconds, sizeof seconds, "%lld", (long long)kept);
    int rc =
        run(store, "HSET", use->account, field, write_times(use->now, found.first, value), why);
    if (rc == 0 && found.oldest != NULL)
        rc = run(store, "HDEL", use->account, found.oldest, NULL, why);
    if (rc == 0)
        rc = run(store, "EXPIRE", use->account, seconds, NULL, why);
    freeReplyObject(reply);
    return rc == 0 ? note_service(store, use, why) : -1;
}

/* One field as a line; false when it cannot be read. */
static bool read_line(char *name, const char *value, struct use_line *line) {
    char *space = strchr(name, ' ');
    *line = (struct use_line){.service = name, .block = ""};
    if (strcmp(name, "since") == 0) {
        line->service = "";
        return timestamp_parse(value, strlen(value), &line->first) == 0;
    }
    if (space != NULL) {
        *space = '\0';
        line->block = space + 1;
    }
    return read_times(value, &line->last, &line->first);
}

int use_read(struct use_store *store, const char *account, use_take *take, void *context,
             struct why *why) {
    redisReply *reply = beside_read(&store->keys, account, why);
    if (reply == NULL)
        return -1;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        struct use_line line;
        if (read_line(reply->element[i]->str, reply->element[i + 1]->str, &line))
            take(context, &line);
    }
    int rc = reply->elements > 0;
    freeReplyObject(reply);
    return rc;
}

int use_forget(struct use_store *store, const char *account, struct why *why) {
    const char *const words[4] = {"DEL"};
    redisReply *reply = beside_ask(&store->keys, account, words, why);
    int rc = reply == NULL ? -1 : reply->integer > 0;
    freeReplyObject(reply);
    return rc;
}
