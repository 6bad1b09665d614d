/*
 * The record of use in Redis. Owns its keys and what stands in them; who is recorded, and when, is
 * the filter's business.
 */
#include "gatepost/write/use.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_nodes.h"
#include "gatepost/core/timestamp.h"
#include "redis_client.h"

struct use_store {
    bool in_cluster;
    char *prefix;
    struct redis_client client;   /* unless in_cluster */
    struct cluster_nodes cluster; /* if it is */
};

#define VALUE_SIZE (2 * TIMESTAMP_SIZE + 1)

char *use_prefix(const char *key_prefix) {
    const char *colon = strrchr(key_prefix, ':');
    size_t head = colon == NULL ? strlen(key_prefix) : (size_t)(colon - key_prefix);
    char *prefix;
    int len =
        asprintf(&prefix, "%.*s-use:%s", (int)head, key_prefix, colon == NULL ? "" : colon + 1);
    return len < 0 ? NULL : prefix;
}

int use_store_open(const struct store_settings *settings, struct use_store **out, struct why *why) {
    struct store_url url;
    if (store_url_parse(settings->url, &url, why) != 0)
        return -1;
    if (url.kind == STORE_FILE)
        return why_set(why, "a policy file has no record of use: it needs Redis");
    struct use_store *store = calloc(1, sizeof *store);
    char *prefix = store == NULL ? NULL : use_prefix(settings->key_prefix);
    if (prefix == NULL) {
        free(store);
        return why_set(why, "no memory");
    }
    struct store_settings own = *settings;
    own.key_prefix = store->prefix = prefix;
    store->in_cluster = url.kind == STORE_CLUSTER;
    int rc = store->in_cluster ? cluster_nodes_init(&store->cluster, &own, &url, why)
                               : redis_client_init(&store->client, &own, &url, why);
    if (rc != 0) {
        use_store_free(store);
        return -1;
    }
    *out = store;
    return 0;
}

void use_store_free(struct use_store *store) {
    if (store == NULL)
        return;
    if (store->in_cluster)
        cluster_nodes_clear(&store->cluster);
    else
        redis_client_clear(&store->client);
    free(store->prefix);
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

/* Asks the server that has the record of an account; NULL with the reason. */
static redisReply *ask(struct use_store *store, const char *account,
                       const struct redis_command *command, struct why *why) {
    struct cluster_route route = {0};
    if (!store->in_cluster) {
        redisReply *reply = redis_client_ask(&store->client, command, why);
        /* the connection may have broken since the last use, hours ago */
        return reply != NULL || store->client.conn != NULL
                   ? reply
                   : redis_client_ask(&store->client, command, why);
    }
    if (cluster_nodes_slot(&store->cluster, account, &route.slot) != 0) {
        why_set(why, "no memory");
        return NULL;
    }
    return cluster_nodes_ask(&store->cluster, &route, command, why);
}

/* One command on the record of an account, with up to two more words; NULL with the reason. */
static redisReply *ask_words(struct use_store *store, const char *name, const char *account,
                             const char *word, const char *other, struct why *why) {
    struct redis_command command = {0};
    char *key = NULL;
    if (asprintf(&key, "%s%s", store->prefix, account) < 0) {
        why_set(why, "no memory");
        return NULL;
    }
    redis_command_begin(&command, name);
    redis_command_add(&command, key);
    if (word != NULL)
        redis_command_add(&command, word);
    if (other != NULL)
        redis_command_add(&command, other);
    redisReply *reply = ask(store, account, &command, why);
    redis_command_clear(&command);
    free(key);
    return reply;
}

static int run(struct use_store *store, const char *name, const char *account, const char *word,
               const char *other, struct why *why) {
    redisReply *reply = ask_words(store, name, account, word, other, why);
    int rc = reply == NULL ? -1 : 0;
    freeReplyObject(reply);
    return rc;
}

/* The whole record as a flat array of strings; NULL with the reason. */
static redisReply *read_all(struct use_store *store, const char *account, struct why *why) {
    redisReply *reply = ask_words(store, "HGETALL", account, NULL, NULL, why);
    bool flat = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements % 2 == 0;
    for (size_t i = 0; flat && i < reply->elements; i++)
        flat = reply->element[i] != NULL && reply->element[i]->type == REDIS_REPLY_STRING;
    if (reply == NULL || flat)
        return reply;
    why_set(why, "HGETALL: an answer that is no hash");
    freeReplyObject(reply);
    return NULL;
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

/* That there is a record at all, since when, and that this service is in it. */
static int note_service(struct use_store *store, const struct use *use, struct why *why) {
    char value[VALUE_SIZE], now[TIMESTAMP_SIZE];
    return run(store, "HSETNX", "*", "since", timestamp_format(use->now, now), why) != 0
               ? -1
               : run(store, "HSET", "*", use->service, write_times(use->now, use->now, value), why);
}

int use_note(struct use_store *store, const struct use *use, int64_t kept,
             struct use_before *before, struct why *why) {
    char field[100], value[VALUE_SIZE], seconds[24];
    snprintf(field, sizeof field, "%s %s", use->service, use->block);
    redisReply *reply = read_all(store, use->account, why);
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
    redisReply *reply = read_all(store, account, why);
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
    redisReply *reply = ask_words(store, "DEL", account, NULL, NULL, why);
    int rc = reply == NULL ? -1 : reply->integer > 0;
    freeReplyObject(reply);
    return rc;
}
