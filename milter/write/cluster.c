/*
 * Writing to the store in a Redis Cluster. Owns that each subject is written at the node that has
 * it, and that what is written gets into the history, which is a key of one node: in the subject's
 * transaction where both are in one slot, else right after it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_scan.h"
#include "cluster_transactions.h"
#include "examine.h"
#include "gatepost/core/store_key.h"
#include "history_reading.h"
#include "implement.h"
#include "redis_history.h"

struct writer_cluster {
    struct store_writer writer;
    struct cluster_nodes cluster;
    struct {
        char *stream; /* its key */
        unsigned slot;
        struct redis_scribe together; /* who writes in the slot of the history */
    } histories[HISTORIES];
    struct redis_scribe apart; /* who writes elsewhere */
    bool self_facts;
    struct cluster_route begun; /* where the subject is watched; `to` NULL: none is */
    struct redis_tries tries;   /* of what was begun */
};

static int no_memory(struct why *why) {
    return why_set(why, "no memory");
}

static int cluster_begin(struct store_writer *writer, const char *subject, struct why *why) {
    struct writer_cluster *w = (struct writer_cluster *)writer;
    struct redis_command c = {0};
    char *key = store_key_make(w->cluster.prefix, subject);
    w->begun = (struct cluster_route){0};
    if (key == NULL || cluster_nodes_slot(&w->cluster, subject, &w->begun.slot) != 0) {
        free(key);
        return no_memory(why);
    }
    redis_command_begin(&c, "WATCH");
    redis_command_add(&c, key);
    redisReply *reply = cluster_nodes_ask(&w->cluster, &w->begun, &c, why);
    redis_command_clear(&c);
    free(key);
    if (reply == NULL)
        w->begun.to = NULL;
    int rc = reply == NULL ? -1 : 0;
    freeReplyObject(reply);
    return rc;
}

/* As in redis.c. */
static void cluster_leave(struct store_writer *writer) {
    struct writer_cluster *w = (struct writer_cluster *)writer;
    if (w->begun.to != NULL)
        redis_client_disconnect(&w->begun.to->talk);
    w->begun.to = NULL;
}

/* ---- writing ---- */

static int make_jobs(struct writer_cluster *w, const struct store_edit *edits, size_t n,
                     struct cluster_transaction *jobs) {
    for (size_t i = 0; i < n; i++) {
        jobs[i].edit = &edits[i];
        if (cluster_nodes_slot(&w->cluster, edits[i].subject, &jobs[i].route.slot) != 0)
            return -1;
        enum history which = history_of(edits[i].subject);
        bool together = jobs[i].route.slot == w->histories[which].slot;
        jobs[i].scribe = together ? &w->histories[which].together : &w->apart;
    }
    return 0;
}

/* What became of the edits; the first reason of what is worst. */
static enum store_written judge(const struct cluster_transaction *jobs, struct store_edit *edits,
                                size_t n, struct why *why) {
    enum store_written written = WRITE_DONE;
    for (size_t i = 0; i < n; i++) {
        if (jobs[i].state == JOB_REFUSED)
            store_edit_refuse(&edits[i], jobs[i].route.why.text);
        else if (jobs[i].state == JOB_CONFLICT && written == WRITE_DONE)
            written = WRITE_CONFLICT;
        else if ((jobs[i].state == JOB_OPEN || jobs[i].state == JOB_LOST) &&
                 written != WRITE_FAILED) {
            why_set(why, "%s", jobs[i].route.why.text);
            written = WRITE_FAILED;
        }
    }
    return written;
}

/* Turns the jobs that are done into those of their history; their number. */
static size_t leave_history(struct writer_cluster *w, struct cluster_transaction *jobs, size_t n) {
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        enum history which = history_of(jobs[i].edit->subject);
        if (jobs[i].state == JOB_DONE && jobs[i].scribe == &w->apart)
            jobs[left++] =
                (struct cluster_transaction){.edit = jobs[i].edit,
                                             .scribe = &w->histories[which].together,
                                             .history = true,
                                             .at = jobs[i].at,
                                             .route = {.slot = w->histories[which].slot}};
    }
    return left;
}

static enum store_written record(struct writer_cluster *w, struct cluster_transaction *jobs,
                                 size_t n, struct why *why) {
    n = leave_history(w, jobs, n);
    cluster_transactions_run(&w->cluster, jobs, n, false);
    for (size_t i = 0; i < n; i++) {
        if (jobs[i].state == JOB_DONE)
            continue;
        why_set(why, "%s", jobs[i].route.why.text);
        return WRITE_UNRECORDED;
    }
    return WRITE_DONE;
}

/* What was begun is written where it is watched, or not at all. */
static void run_begun(struct writer_cluster *w, struct cluster_transaction *job) {
    job->route = w->begun;
    w->begun.to = NULL;
    if (job->route.to->talk.conn == NULL)
        job->state = JOB_CONFLICT; /* nobody watches any more */
    cluster_transactions_run(&w->cluster, job, 1, true);
    if (w->tries.n == 0) /* that was the first */
        (void)cluster_nodes_again(&w->cluster, &w->tries);
    if (job->state != JOB_OPEN)
        w->tries.n = 0;
    else if (cluster_nodes_again(&w->cluster, &w->tries))
        job->state = JOB_CONFLICT; /* nothing was done: to be begun anew */
}

static enum store_written cluster_write(struct store_writer *writer, struct store_edit *edits,
                                        size_t n, struct why *why) {
    struct writer_cluster *w = (struct writer_cluster *)writer;
    struct cluster_transaction *jobs = calloc(n + 1, sizeof *jobs);
    if (jobs == NULL || make_jobs(w, edits, n, jobs) != 0) {
        free(jobs);
        no_memory(why);
        return WRITE_FAILED;
    }
    if (w->begun.to != NULL)
        run_begun(w, jobs);
    else
        cluster_transactions_run(&w->cluster, jobs, n, false);
    enum store_written written = judge(jobs, edits, n, why);
    struct why unrecorded;
    if (record(w, jobs, n, &unrecorded) != WRITE_DONE && written == WRITE_DONE) {
        *why = unrecorded;
        written = WRITE_UNRECORDED;
    }
    free(jobs);
    return written;
}

/* ---- reading ---- */

static int cluster_scan(struct store_writer *writer, store_take_subject *take, void *context,
                        struct why *why) {
    struct writer_cluster *w = (struct writer_cluster *)writer;
    return cluster_scan_scan(&w->cluster, take, context, why);
}

static int cluster_examine(struct store_writer *writer, store_take_complaint *take, void *context,
                           struct why *why) {
    struct writer_cluster *w = (struct writer_cluster *)writer;
    struct redis_command c = {0};
    struct cluster_route route = {0};
    struct why denied = {""};
    char *key = w->self_facts ? store_key_make(w->cluster.prefix, SELF_SUBJECT) : NULL;
    if (key != NULL && cluster_nodes_slot(&w->cluster, SELF_SUBJECT, &route.slot) == 0) {
        redis_command_begin(&c, EXAMINE_SELF);
        redis_command_add(&c, key);
        examine_self(cluster_nodes_ask(&w->cluster, &route, &c, &denied), &denied, take, context);
    }
    redis_command_clear(&c);
    free(key);
    return examine_cluster(&w->cluster, take, context, why);
}

static redisReply *ask_history(struct store_writer *writer, enum history which,
                               struct redis_page *page, struct redis_command *command,
                               struct why *why) {
    struct writer_cluster *w = (struct writer_cluster *)writer;
    struct cluster_route route = {.slot = w->histories[which].slot};
    redis_history_ask(page, command, w->histories[which].stream);
    return cluster_nodes_ask(&w->cluster, &route, command, why);
}

static int cluster_history(struct store_writer *writer, int64_t since, store_take_history *take,
                           void *context, struct why *why) {
    const struct writer_cluster *w = (const struct writer_cluster *)writer;
    const struct history_source source = {writer, w->self_facts, true, ask_history};
    return history_read(&source, since, take, context, why);
}

/* ---- the writer ---- */

static void cluster_free(struct store_writer *writer) {
    struct writer_cluster *w = (struct writer_cluster *)writer;
    cluster_nodes_clear(&w->cluster);
    for (size_t i = 0; i < HISTORIES; i++)
        free(w->histories[i].stream);
    free(w);
}

static const struct store_writer_ops cluster_ops = {.batch = REDIS_EDIT_BATCH,
                                                    .begin = cluster_begin,
                                                    .leave = cluster_leave,
                                                    .write = cluster_write,
                                                    .scan = cluster_scan,
                                                    .history = cluster_history,
                                                    .examine = cluster_examine,
                                                    .free = cluster_free};

static int open_history(struct writer_cluster *w, size_t which, const char *key_prefix,
                        const char *actor, struct why *why) {
    char *stream = store_key_make(key_prefix, history_names[which]);
    w->histories[which].stream = stream;
    w->histories[which].together = (struct redis_scribe){.actor = actor, .stream = stream};
    if (stream == NULL ||
        cluster_nodes_slot(&w->cluster, history_names[which], &w->histories[which].slot) != 0)
        return no_memory(why);
    return 0;
}

int store_writer_cluster_open(const struct store_settings *settings, const struct store_url *url,
                              const char *actor, struct store_writer **out, struct why *why) {
    struct writer_cluster *w = calloc(1, sizeof *w);
    if (w == NULL)
        return no_memory(why);
    w->writer.ops = &cluster_ops;
    w->self_facts = settings->self_facts;
    int rc = cluster_nodes_init(&w->cluster, settings, url, why);
    for (size_t i = 0; rc == 0 && i < HISTORIES; i++)
        rc = open_history(w, i, settings->key_prefix, actor, why);
    if (rc != 0) {
        cluster_free(&w->writer);
        return -1;
    }
    w->apart = (struct redis_scribe){.actor = actor};
    *out = &w->writer;
    return 0;
}
