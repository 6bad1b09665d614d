/*
 * Writing to the store in one Redis server. Owns the connection for it, made at the first use, and
 * that subjects and history are written together.
 *
 * WATCH makes a write of one subject fail when somebody else has changed it since it was read.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "examine.h"
#include "gatepost/core/self_fact.h"
#include "gatepost/store/redis/errors.h"
#include "history_reading.h"
#include "implement.h"
#include "redis_history.h"
#include "redis_scan.h"
#include "redis_transaction.h"

struct writer_redis {
    struct store_writer writer;
    struct redis_client talk;
    const char *actor;
    bool self_facts;
};

static int no_memory(struct why *why) {
    return why_set(why, "no memory");
}

static int redis_begin(struct store_writer *writer, const char *subject, struct why *why) {
    struct writer_redis *w = (struct writer_redis *)writer;
    struct redis_command c = {0};
    char *key = redis_client_key(&w->talk, subject);
    redisReply *reply = NULL;
    if (key != NULL) {
        redis_command_begin(&c, "WATCH");
        redis_command_add(&c, key);
        redis_client_follow(&w->talk);
        bool kept = w->talk.conn != NULL;
        reply = redis_client_ask(&w->talk, &c, why);
        /* one that was kept since the last write may have been closed, hours ago */
        if (reply == NULL && kept && w->talk.conn == NULL)
            reply = redis_client_ask(&w->talk, &c, why);
    } else {
        no_memory(why);
    }
    redis_command_clear(&c);
    free(key);
    if (reply == NULL)
        return -1;
    freeReplyObject(reply);
    return 0;
}

/* A key stays watched until its connection writes something, or ends. */
static void redis_leave(struct store_writer *writer) {
    redis_client_disconnect(&((struct writer_redis *)writer)->talk);
}

static void close_scribes(struct redis_scribe scribes[HISTORIES]) {
    for (size_t i = 0; i < HISTORIES; i++)
        free((void *)scribes[i].stream);
}

/* Those that the edits need; to be closed in every case. */
static int open_scribes(struct writer_redis *w, const struct store_edit *edits, size_t n,
                        struct redis_scribe scribes[HISTORIES], struct why *why) {
    for (size_t i = 0; i < HISTORIES; i++)
        scribes[i] = (struct redis_scribe){w->actor, NULL};
    for (size_t i = 0; i < n; i++) {
        enum history which = history_of(edits[i].subject);
        if (scribes[which].stream != NULL)
            continue;
        scribes[which].stream = redis_client_key(&w->talk, history_names[which]);
        if (scribes[which].stream == NULL)
            return no_memory(why);
        if (redis_history_check(&w->talk, scribes[which].stream, why) != 0)
            return -1;
    }
    return 0;
}

static int send_all(struct writer_redis *w, const struct store_edit *edits, size_t n, int *replies,
                    struct why *why) {
    struct redis_command c = {0};
    struct redis_scribe scribes[HISTORIES];
    int rc = open_scribes(w, edits, n, scribes, why);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const struct redis_errand errand = {.scribe = &scribes[history_of(edits[i].subject)],
                                            .edit = &edits[i]};
        replies[i] = redis_transaction_queue(&w->talk, &c, &errand, why);
        rc = replies[i] < 0 ? -1 : 0;
    }
    redis_command_clear(&c);
    close_scribes(scribes);
    if (rc == 0)
        return redis_client_flush(&w->talk, why);
    redis_client_disconnect(&w->talk); /* with what is queued already */
    return -1;
}

static enum store_written take_all(struct writer_redis *w, struct store_edit *edits, size_t n,
                                   const int *replies, struct why *why) {
    enum store_written written = WRITE_DONE;
    for (size_t i = 0; i < n; i++) {
        struct redis_transaction_outcome edited;
        if (redis_transaction_take(&w->talk, replies[i], &edited, why) != 0)
            return WRITE_FAILED;
        if (edited.error[0] != '\0') {
            struct why reason;
            redis_error_judge(edited.error, NULL, NULL, &reason);
            store_edit_refuse(&edits[i], reason.text);
        }
        if (edited.conflict)
            written = WRITE_CONFLICT;
    }
    return written;
}

static enum store_written redis_write(struct store_writer *writer, struct store_edit *edits,
                                      size_t n, struct why *why) {
    struct writer_redis *w = (struct writer_redis *)writer;
    enum store_written written = WRITE_FAILED;
    int *replies = calloc(n + 1, sizeof *replies);
    if (replies == NULL)
        no_memory(why);
    else if (send_all(w, edits, n, replies, why) == 0)
        written = take_all(w, edits, n, replies, why);
    free(replies);
    return written;
}

static int redis_names(struct store_writer *writer, store_take_subject *take, void *context,
                       struct why *why) {
    return redis_scan(&((struct writer_redis *)writer)->talk, take, context, why);
}

static redisReply *ask_history(struct store_writer *writer, enum history which,
                               struct redis_page *page, struct redis_command *command,
                               struct why *why) {
    struct writer_redis *w = (struct writer_redis *)writer;
    char *stream = redis_client_key(&w->talk, history_names[which]);
    if (stream == NULL) {
        no_memory(why);
        return NULL;
    }
    redis_history_ask(page, command, stream);
    redisReply *reply = redis_client_ask(&w->talk, command, why);
    free(stream); /* until then a word of the command */
    return reply;
}

static int redis_history(struct store_writer *writer, int64_t since, store_take_history *take,
                         void *context, struct why *why) {
    const struct writer_redis *w = (const struct writer_redis *)writer;
    const struct history_source source = {writer, w->self_facts, false, ask_history};
    return history_read(&source, since, take, context, why);
}

static int redis_examine(struct store_writer *writer, store_take_complaint *take, void *context,
                         struct why *why) {
    struct writer_redis *w = (struct writer_redis *)writer;
    struct redis_command c = {0};
    struct why denied = {""};
    char *key = w->self_facts ? redis_client_key(&w->talk, SELF_SUBJECT) : NULL;
    if (key != NULL) {
        redis_command_begin(&c, EXAMINE_SELF);
        redis_command_add(&c, key);
        examine_self(redis_client_ask(&w->talk, &c, &denied), &denied, take, context);
    }
    redis_command_clear(&c);
    free(key);
    return examine_redis(&w->talk, "Redis", take, context, why);
}

static void redis_free(struct store_writer *writer) {
    struct writer_redis *w = (struct writer_redis *)writer;
    redis_client_clear(&w->talk);
    free(w);
}

static const struct store_writer_ops redis_ops = {.batch = REDIS_EDIT_BATCH,
                                                  .begin = redis_begin,
                                                  .leave = redis_leave,
                                                  .write = redis_write,
                                                  .scan = redis_names,
                                                  .history = redis_history,
                                                  .examine = redis_examine,
                                                  .free = redis_free};

int store_writer_redis_open(const struct store_settings *settings, const struct store_url *url,
                            const char *actor, struct store_writer **out, struct why *why) {
    struct writer_redis *w = calloc(1, sizeof *w);
    if (w == NULL)
        return no_memory(why);
    w->writer.ops = &redis_ops;
    w->actor = actor;
    w->self_facts = settings->self_facts;
    if (redis_client_init(&w->talk, settings, url, why) != 0) {
        redis_free(&w->writer);
        return -1;
    }
    *out = &w->writer;
    return 0;
}
