/*
 * Writing to the store in Redis. Owns the transaction of a subject with its history and the walks
 * over names and history. It works on one connection of its own, made at the first use.
 *
 * WATCH makes a write of one subject fail when somebody else has changed it since it was read.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/redis_error.h"
#include "gatepost/redis_talk.h"
#include "gatepost/store_writer.h"

/* Subjects in one go: few enough that Redis serves the filter in between. */
#define BATCH 256

struct writer_redis {
    struct store_writer writer;
    struct redis_talk talk;
    const char *actor;
};

static int no_memory(char *why, size_t why_size) {
    snprintf(why, why_size, "no memory");
    return -1;
}

static int redis_begin(struct store_writer *writer, const char *subject, char *why,
                       size_t why_size) {
    struct writer_redis *w = (struct writer_redis *)writer;
    struct redis_command c = {0};
    char *key = redis_talk_key(&w->talk, subject);
    redisReply *reply = NULL;
    if (key != NULL) {
        redis_command_begin(&c, "WATCH");
        redis_command_add(&c, key);
        reply = redis_talk_ask(&w->talk, &c, why, why_size);
    } else {
        no_memory(why, why_size);
    }
    redis_command_clear(&c);
    free(key);
    if (reply == NULL)
        return -1;
    freeReplyObject(reply);
    return 0;
}

/* ---- one subject ---- */

static int queue_fields(struct writer_redis *w, struct redis_command *c, const char *key,
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
    return fields == 0 ? 0 : redis_talk_queue(&w->talk, c) != 0 ? -1 : 1;
}

static void add_pair(struct redis_command *c, const char *name, struct store_text value) {
    if (value.text == NULL)
        return;
    redis_command_add(c, name);
    redis_command_add_octets(c, value.text, value.len);
}

/* An entry of the history; `state` only with the last one. */
static int queue_entry(struct writer_redis *w, struct redis_command *c, const char *stream,
                       const char *subject, const struct store_change *change, const char *state) {
    char kept[24];
    snprintf(kept, sizeof kept, "%d", HISTORY_KEPT);
    redis_command_begin(c, "XADD");
    redis_command_add(c, stream);
    redis_command_add(c, "MAXLEN");
    redis_command_add(c, "~");
    redis_command_add(c, kept);
    redis_command_add(c, "*");
    add_pair(c, "actor", (struct store_text){w->actor, strlen(w->actor)});
    add_pair(c, "subject", (struct store_text){subject, strlen(subject)});
    add_pair(c, "field", change->field);
    add_pair(c, "old", change->old);
    add_pair(c, "new", change->new_value);
    if (state != NULL)
        add_pair(c, "state", (struct store_text){state, strlen(state)});
    return redis_talk_queue(&w->talk, c);
}

/*
 * The MULTI of the first subject, answered before anything follows it: without a transaction each
 * command behind it would be done at once and for itself. Nor does one undo the changes when the
 * history cannot be written, so a key in its place is found before.
 */
static int open_transaction(struct writer_redis *w, struct redis_command *c, const char *stream,
                            char *why, size_t why_size) {
    redis_command_begin(c, "XRANGE");
    redis_command_add(c, stream);
    redis_command_add(c, "+");
    redis_command_add(c, "-"); /* nothing is wanted of it */
    redisReply *reply = redis_talk_ask(&w->talk, c, why, why_size);
    if (reply == NULL && strstr(why, "WRONGTYPE") != NULL) {
        snprintf(why, why_size,
                 "%s is no stream, so it takes no history: delete it (redis-cli DEL)", stream);
        return -1;
    }
    if (reply == NULL && w->talk.conn == NULL) /* and with it what is watched */
        return -1;
    freeReplyObject(reply);
    redis_command_begin(c, "MULTI");
    reply = redis_talk_ask(&w->talk, c, why, why_size);
    if (reply == NULL)
        return -1;
    freeReplyObject(reply);
    return 0;
}

/*
 * MULTI, unless it is `open`, to EXEC for one subject; returns the number of commands, or -1.
 */
static int queue_edit(struct writer_redis *w, struct redis_command *c, const char *stream,
                      const struct store_edit *edit, bool open) {
    static const struct store_change whole = {.field = {"", 0}};
    char state[20];
    char *key = redis_talk_key(&w->talk, edit->subject);
    int n = open ? 1 : 2, rc = key == NULL ? -1 : 0;
    snprintf(state, sizeof state, "%016llx", (unsigned long long)edit->state);
    redis_command_begin(c, "MULTI");
    rc = rc != 0 || open ? rc : redis_talk_queue(&w->talk, c);
    if (rc == 0 && edit->drop && edit->n == 0) { /* no hash: it has no fields to remove */
        redis_command_begin(c, "DEL");
        redis_command_add(c, key);
        rc = redis_talk_queue(&w->talk, c);
        n++;
    }
    for (int set = 0; rc == 0 && set <= 1; set++) {
        int queued = queue_fields(w, c, key, edit, set);
        rc = queued < 0 ? -1 : 0;
        n += queued;
    }
    if (edit->drop && edit->n == 0 && rc == 0) {
        rc = queue_entry(w, c, stream, edit->subject, &whole, state);
        n++;
    }
    for (size_t i = 0; rc == 0 && i < edit->n; i++, n++)
        rc = queue_entry(w, c, stream, edit->subject, &edit->changes[i],
                         i + 1 == edit->n ? state : NULL);
    redis_command_begin(c, "EXEC");
    rc = rc == 0 ? redis_talk_queue(&w->talk, c) : -1;
    free(key);
    return rc == 0 ? n : -1;
}

static void refuse(struct store_edit *edit, const redisReply *reply) {
    if (!edit->refused)
        redis_error_judge(reply->str, NULL, NULL, edit->why, sizeof edit->why);
    edit->refused = true;
}

/* The replies to one transaction of `n` commands. */
static enum store_written take_replies(struct writer_redis *w, struct store_edit *edit, int n,
                                       char *why, size_t why_size) {
    enum store_written written = WRITE_DONE;
    for (int i = 0; i < n; i++) {
        redisReply *reply = redis_talk_reply(&w->talk, why, why_size);
        if (reply == NULL)
            return WRITE_FAILED;
        if (reply->type == REDIS_REPLY_ERROR)
            refuse(edit, reply);
        else if (i + 1 == n && reply->type == REDIS_REPLY_NIL)
            written = WRITE_CONFLICT;
        for (size_t j = 0; reply->type == REDIS_REPLY_ARRAY && j < reply->elements; j++)
            if (reply->element[j]->type == REDIS_REPLY_ERROR)
                refuse(edit, reply->element[j]);
        freeReplyObject(reply);
    }
    return written;
}

static enum store_written redis_write(struct store_writer *writer, struct store_edit *edits,
                                      size_t n, char *why, size_t why_size) {
    struct writer_redis *w = (struct writer_redis *)writer;
    struct redis_command c = {0};
    enum store_written written = WRITE_DONE;
    int *commands = calloc(n + 1, sizeof *commands);
    char *stream = redis_talk_key(&w->talk, "history");
    bool good = commands != NULL && stream != NULL;
    if (!good)
        no_memory(why, why_size);
    good = good && open_transaction(w, &c, stream, why, why_size) == 0;
    for (size_t i = 0; good && i < n; i++) {
        commands[i] = queue_edit(w, &c, stream, &edits[i], i == 0);
        good = commands[i] >= 0;
        if (!good)
            no_memory(why, why_size);
    }
    if (!good)
        redis_talk_disconnect(&w->talk); /* with what is queued already */
    good = good && redis_talk_flush(&w->talk, why, why_size) == 0;
    for (size_t i = 0; good && i < n && written != WRITE_FAILED; i++) {
        enum store_written one = take_replies(w, &edits[i], commands[i], why, why_size);
        written = one == WRITE_DONE ? written : one;
    }
    redis_command_clear(&c);
    free(commands);
    free(stream);
    return good ? written : WRITE_FAILED;
}

/* ---- walks ---- */

/* The prefix as a pattern of SCAN, a star behind it. */
static char *pattern_of(const char *prefix) {
    char *pattern = malloc(strlen(prefix) * 2 + 2), *to = pattern;
    if (pattern == NULL)
        return NULL;
    for (const char *p = prefix; *p != '\0'; p++) {
        if (strchr("*?[]\\^-", *p) != NULL)
            *to++ = '\\';
        *to++ = *p;
    }
    memcpy(to, "*", 2);
    return pattern;
}

/* One page of names; *cursor is replaced. Returns as store_writer_scan(). */
static int take_page(struct writer_redis *w, const redisReply *reply, store_take_subject *take,
                     void *context) {
    size_t skip = strlen(w->talk.prefix);
    for (size_t i = 0; i < reply->element[1]->elements; i++) {
        const redisReply *key = reply->element[1]->element[i];
        if (key->len < skip || (key->len - skip == 7 && memcmp(key->str + skip, "history", 7) == 0))
            continue;
        if (take(context, key->str + skip, key->len - skip) != 0)
            return -1;
    }
    return 0;
}

static int redis_scan(struct store_writer *writer, store_take_subject *take, void *context,
                      char *why, size_t why_size) {
    struct writer_redis *w = (struct writer_redis *)writer;
    struct redis_command c = {0};
    char cursor[32] = "0", *pattern = pattern_of(w->talk.prefix);
    int rc = pattern == NULL ? no_memory(why, why_size) : 0;
    do {
        redis_command_begin(&c, "SCAN");
        redis_command_add(&c, cursor);
        redis_command_add(&c, "MATCH");
        redis_command_add(&c, pattern == NULL ? "" : pattern);
        redis_command_add(&c, "COUNT");
        redis_command_add(&c, "1000");
        redisReply *reply = rc == 0 ? redis_talk_ask(&w->talk, &c, why, why_size) : NULL;
        rc = reply == NULL ? -1 : 0;
        if (rc == 0 && (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)) {
            snprintf(why, why_size, "SCAN: an answer that is no list of keys");
            rc = -1;
        }
        if (rc == 0) {
            snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
            rc = take_page(w, reply, take, context);
            if (rc != 0)
                no_memory(why, why_size);
        }
        if (reply != NULL)
            freeReplyObject(reply);
    } while (rc == 0 && strcmp(cursor, "0") != 0);
    redis_command_clear(&c);
    free(pattern);
    return rc;
}

static struct store_text *entry_part(struct history_entry *entry, const char *name) {
    return strcmp(name, "actor") == 0     ? &entry->actor
           : strcmp(name, "subject") == 0 ? &entry->subject
           : strcmp(name, "field") == 0   ? &entry->field
           : strcmp(name, "old") == 0     ? &entry->old
           : strcmp(name, "new") == 0     ? &entry->new_value
           : strcmp(name, "state") == 0   ? &entry->state
                                          : NULL;
}

static int take_entry(const redisReply *reply, store_take_history *take, void *context) {
    struct history_entry entry = {.time = strtoll(reply->element[0]->str, NULL, 10)};
    const redisReply *pairs = reply->element[1];
    for (size_t i = 0; i + 1 < pairs->elements; i += 2) {
        struct store_text *part = entry_part(&entry, pairs->element[i]->str);
        if (part != NULL)
            *part = (struct store_text){pairs->element[i + 1]->str, pairs->element[i + 1]->len};
    }
    return take(context, &entry);
}

static int redis_history(struct store_writer *writer, int64_t since, store_take_history *take,
                         void *context, char *why, size_t why_size) {
    struct writer_redis *w = (struct writer_redis *)writer;
    struct redis_command c = {0};
    char from[64], *stream = redis_talk_key(&w->talk, "history");
    int rc = stream == NULL ? no_memory(why, why_size) : 0;
    size_t got = 1;
    snprintf(from, sizeof from, "%lld", (long long)(since > 0 ? since : 0));
    while (rc == 0 && got > 0) {
        redis_command_begin(&c, "XRANGE");
        redis_command_add(&c, stream);
        redis_command_add(&c, from);
        redis_command_add(&c, "+");
        redis_command_add(&c, "COUNT");
        redis_command_add(&c, "1000");
        redisReply *reply = redis_talk_ask(&w->talk, &c, why, why_size);
        rc = reply == NULL ? -1 : 0;
        got = rc == 0 && reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
        for (size_t i = 0; rc == 0 && i < got; i++) {
            const redisReply *one = reply->element[i];
            if (one->type != REDIS_REPLY_ARRAY || one->elements != 2 ||
                one->element[1]->type != REDIS_REPLY_ARRAY)
                continue;
            rc = take_entry(one, take, context);
            if (rc != 0)
                no_memory(why, why_size);
            snprintf(from, sizeof from, "(%s", one->element[0]->str);
        }
        if (reply != NULL)
            freeReplyObject(reply);
    }
    redis_command_clear(&c);
    free(stream);
    return rc;
}

/* ---- what may lose policy ---- */

/* The value of "NAME:" in the answer to INFO, into `out`. */
static const char *info_value(const char *info, const char *name, char *out, size_t out_size) {
    const char *at = strstr(info, name);
    out[0] = '\0';
    if (at == NULL || at[strlen(name)] != ':')
        return out;
    at += strlen(name) + 1;
    snprintf(out, out_size, "%.*s", (int)strcspn(at, "\r\n"), at);
    return out;
}

static int redis_examine(struct store_writer *writer, store_take_complaint *take, void *context,
                         char *why, size_t why_size) {
    struct writer_redis *w = (struct writer_redis *)writer;
    struct redis_command c = {0};
    char policy[40], limit[40], complaint[200];
    redis_command_begin(&c, "INFO");
    redis_command_add(&c, "memory");
    redisReply *reply = redis_talk_ask(&w->talk, &c, why, why_size);
    redis_command_clear(&c);
    if (reply == NULL)
        return -1;
    if (reply->str != NULL) {
        info_value(reply->str, "\nmaxmemory_policy", policy, sizeof policy);
        info_value(reply->str, "\nmaxmemory", limit, sizeof limit);
        if (policy[0] != '\0' && strcmp(policy, "noeviction") != 0) {
            snprintf(complaint, sizeof complaint,
                     "Redis evicts keys when its memory is full (maxmemory-policy %s%s): set "
                     "maxmemory-policy noeviction, a policy that is evicted is no policy",
                     policy, strcmp(limit, "0") == 0 ? ", no maxmemory yet" : "");
            take(context, complaint);
        }
    }
    freeReplyObject(reply);
    return 0;
}

static void redis_free(struct store_writer *writer) {
    struct writer_redis *w = (struct writer_redis *)writer;
    redis_talk_clear(&w->talk);
    free(w);
}

static const struct store_writer_ops redis_ops = {.batch = BATCH,
                                                  .begin = redis_begin,
                                                  .write = redis_write,
                                                  .scan = redis_scan,
                                                  .history = redis_history,
                                                  .examine = redis_examine,
                                                  .free = redis_free};

int store_writer_redis_open(const struct store_settings *settings, const struct store_url *url,
                            const char *actor, struct store_writer **out, char *why,
                            size_t why_size) {
    struct writer_redis *w = calloc(1, sizeof *w);
    if (w == NULL)
        return no_memory(why, why_size);
    w->writer.ops = &redis_ops;
    w->actor = actor;
    if (redis_talk_init(&w->talk, settings, url, why, why_size) != 0) {
        redis_free(&w->writer);
        return -1;
    }
    *out = &w->writer;
    return 0;
}
