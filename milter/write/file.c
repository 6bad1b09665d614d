/*
 * Writing to the store in a policy file. Owns that the file is replaced whole or not at all, that
 * lines which nobody touched stay as they are and where they are, and that two writers do not
 * undo each other's work.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* by default uthash ends the process when memory runs out */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "file_history.h"
#include "gatepost/base/clock.h"
#include "gatepost/base/line.h"
#include "gatepost/base/regular_file.h"
#include "gatepost/core/policy_line.h"
#include "gatepost/write/writer.h"
#include "implement.h"

struct writer_file {
    struct store_writer writer;
    char *path; /* where the policy is, symbolic links followed */
    const char *actor;
    int locked; /* the policy file, locked from begin on; -1 */
    bool begun; /* and what it was then */
    struct stat start;
};

static int fail(const char *path, const char *what, struct why *why) {
    return why_set(why, "%s: %s", path, what);
}

static void unlock(struct writer_file *w) {
    if (w->locked >= 0)
        close(w->locked);
    w->locked = -1;
}

/* Milliseconds: whoever can read the file can lock it, and shall not hold us up for ever. */
#define LOCK_WAIT 10000
#define LOCK_PAUSE 2

/* Locks the file that has the name now: another writer may put a new one there while we wait. */
static int lock(struct writer_file *w, struct why *why) {
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE * 1000000L};
    int64_t deadline = clock_now_ms() + LOCK_WAIT;
    while (w->locked < 0) {
        struct stat held, named;
        w->locked = open(w->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (w->locked < 0 || flock(w->locked, LOCK_EX | LOCK_NB) != 0 ||
            fstat(w->locked, &held) != 0 || stat(w->path, &named) != 0) {
            int error = errno;
            unlock(w);
            if (error == EWOULDBLOCK && clock_now_ms() < deadline)
                nanosleep(&pause, NULL);
            else if (error == EWOULDBLOCK)
                return fail(w->path, "another program has locked it: try again later", why);
            if (error == EWOULDBLOCK || error == EINTR)
                continue;
            return fail(w->path, strerror(error), why);
        }
        if (held.st_ino != named.st_ino || held.st_dev != named.st_dev)
            unlock(w);
    }
    return 0;
}

static int file_begin(struct store_writer *writer, const char *subject, struct why *why) {
    struct writer_file *w = (struct writer_file *)writer;
    (void)subject;
    if (lock(w, why) != 0)
        return -1;
    if (stat(w->path, &w->start) != 0)
        return fail(w->path, strerror(errno), why);
    w->begun = true;
    return 0;
}

static void file_leave(struct store_writer *writer) {
    struct writer_file *w = (struct writer_file *)writer;
    w->begun = false;
    unlock(w);
}

/* ---- the edits, found by subject and by fact ---- */

struct planned {
    const struct store_change *change;
    char *key; /* "SUBJECT FIELD" */
    bool done;
    UT_hash_handle hh;
};

struct target {
    const struct store_edit *edit;
    size_t first, n;         /* its changes among all */
    unsigned long last_line; /* of the subject in the old file; 0 when it has none */
    UT_hash_handle hh;
};

struct plan {
    struct target *targets, *target_table;
    struct planned *changes, *change_table;
    size_t n, n_changes;
};

static void plan_free(struct plan *plan) {
    HASH_CLEAR(hh, plan->target_table);
    HASH_CLEAR(hh, plan->change_table);
    for (size_t i = 0; plan->changes != NULL && i < plan->n_changes; i++)
        free(plan->changes[i].key);
    free(plan->changes);
    free(plan->targets);
}

/* Subject, NUL, field: each may have spaces. Returns its length, or -1. */
static int make_key(char **key, const char *subject, const char *field, size_t field_len) {
    int len = asprintf(key, "%s%c%.*s", subject, '\0', (int)field_len, field);
    if (len < 0)
        *key = NULL;
    return len;
}

static int plan_edits(struct plan *plan, const struct store_edit *edits, size_t n) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        plan->n_changes += edits[i].n;
    plan->n = n;
    plan->targets = calloc(n + 1, sizeof *plan->targets);
    plan->changes = calloc(plan->n_changes + 1, sizeof *plan->changes);
    if (plan->targets == NULL || plan->changes == NULL)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct target *target = &plan->targets[i];
        *target = (struct target){.edit = &edits[i], .first = at, .n = edits[i].n};
        HASH_ADD_KEYPTR(hh, plan->target_table, edits[i].subject, strlen(edits[i].subject), target);
        if (target->hh.tbl == NULL)
            return -1;
        for (size_t j = 0; j < edits[i].n; j++, at++) {
            struct planned *planned = &plan->changes[at];
            planned->change = &edits[i].changes[j];
            int len = make_key(&planned->key, edits[i].subject, planned->change->field.text,
                               planned->change->field.len);
            if (len < 0)
                return -1;
            HASH_ADD_KEYPTR(hh, plan->change_table, planned->key, (size_t)len, planned);
            if (planned->hh.tbl == NULL)
                return -1;
        }
    }
    return 0;
}

static int put_fact(FILE *to, const char *subject, const struct store_change *change) {
    const struct store_text *field = &change->field, *value = &change->new_value;
    size_t size = POLICY_LINE_SIZE(strlen(subject) + field->len + value->len);
    char *memory = malloc(size);
    struct textbuf line;
    if (memory == NULL)
        return -1;
    textbuf_init(&line, memory, size);
    policy_line_put(&line, subject, field->text, field->len, value->text, value->len);
    bool good = line.len <= POLICY_LINE_LONGEST;
    if (good)
        good = fwrite(line.data, 1, line.len, to) == line.len;
    else
        errno = EMSGSIZE;
    free(memory);
    return good ? 0 : -1;
}

/* What has no line yet; after the subject's last line, or at the end of the file. */
static int put_new_facts(FILE *to, struct plan *plan, const struct target *target) {
    int rc = 0;
    for (size_t i = target->first; rc == 0 && i < target->first + target->n; i++) {
        struct planned *planned = &plan->changes[i];
        if (!planned->done && planned->change->new_value.text != NULL)
            rc = put_fact(to, target->edit->subject, planned->change);
        planned->done = true;
    }
    return rc;
}

/* What a line is about; NULL when it is none of the subjects that change. `copy` is taken apart. */
static struct target *target_of(const struct plan *plan, char *copy, size_t len,
                                struct policy_line *fact) {
    struct why ignored;
    struct target *target = NULL;
    if (policy_line_parse(copy, len, fact, &ignored) == 1)
        HASH_FIND_STR(plan->target_table, fact->subject, target);
    return target;
}

static int put_line(FILE *to, struct plan *plan, const struct target *target,
                    const struct policy_line *fact, const char *line, size_t len) {
    struct planned *planned = NULL;
    char *key = NULL;
    if (target != NULL && target->edit->drop)
        return 0;
    if (target != NULL) {
        int key_len = make_key(&key, fact->subject, fact->field, strlen(fact->field));
        if (key_len < 0)
            return -1;
        HASH_FIND(hh, plan->change_table, key, (size_t)key_len, planned);
        free(key);
    }
    if (planned != NULL) {
        bool first = !planned->done;
        planned->done = true;
        return first && planned->change->new_value.text != NULL
                   ? put_fact(to, target->edit->subject, planned->change)
                   : 0;
    }
    if (fwrite(line, 1, len, to) != len)
        return -1;
    return len > 0 && line[len - 1] == '\n' ? 0 : fputc('\n', to) == EOF ? -1 : 0;
}

/* Reads the old file once to see where subjects end (`to` NULL), once to write the new one. */
static int pass(struct plan *plan, FILE *from, FILE *to) {
    char *line = NULL, *copy = NULL;
    size_t size = 0, copy_size = 0;
    unsigned long number = 0;
    ssize_t len;
    int rc = 0;
    rewind(from);
    while (rc == 0 && (len = line_read(from, &line, &size)) >= 0) {
        struct policy_line fact;
        number++;
        if (copy_size < size) {
            char *grown = realloc(copy, size);
            if (grown == NULL) {
                rc = -1;
                break;
            }
            copy = grown;
            copy_size = size;
        }
        memcpy(copy, line, (size_t)len + 1);
        struct target *target = target_of(plan, copy, (size_t)len, &fact);
        if (to == NULL) {
            if (target != NULL)
                target->last_line = number;
            continue;
        }
        rc = put_line(to, plan, target, &fact, line, (size_t)len);
        if (rc == 0 && target != NULL && target->last_line == number && !target->edit->drop)
            rc = put_new_facts(to, plan, target);
    }
    for (size_t i = 0; rc == 0 && to != NULL && i < plan->n; i++)
        if (!plan->targets[i].edit->drop)
            rc = put_new_facts(to, plan, &plan->targets[i]);
    free(line);
    free(copy);
    if (rc == 0 && len == LINE_TOO_LONG) {
        errno = EMSGSIZE;
        rc = -1;
    }
    return rc == 0 && feof(from) ? 0 : -1;
}

/* ---- the new file ---- */

static void sync_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    int fd = folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(folder);
}

static int keep_owner(int fd, const struct stat *old) {
    struct stat now;
    if (fstat(fd, &now) != 0)
        return -1;
    if ((now.st_uid != old->st_uid || now.st_gid != old->st_gid) &&
        fchown(fd, old->st_uid, old->st_gid) != 0)
        return -1;
    return fchmod(fd, old->st_mode & 07777);
}

static int replace(const struct writer_file *w, struct plan *plan, FILE *from,
                   const struct stat *old, struct why *why) {
    char *beside = NULL;
    if (asprintf(&beside, "%s.XXXXXX", w->path) < 0)
        return fail(w->path, "no memory", why);
    int fd = mkostemp(beside, O_CLOEXEC);
    FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
    bool good = to != NULL && keep_owner(fd, old) == 0 && pass(plan, from, NULL) == 0 &&
                pass(plan, from, to) == 0 && fflush(to) == 0 && fsync(fd) == 0;
    int error = errno;
    if (to != NULL)
        good = fclose(to) == 0 && good;
    else if (fd >= 0)
        close(fd);
    if (good && rename(beside, w->path) != 0) {
        error = errno;
        good = false;
    }
    if (!good && fd >= 0)
        unlink(beside);
    free(beside);
    if (!good)
        return fail(w->path, strerror(error), why);
    sync_folder(w->path); /* the new file is there in any case */
    return 0;
}

static bool changed(const struct stat *a, const struct stat *b) {
    return a->st_ino != b->st_ino || a->st_size != b->st_size ||
           a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

static enum store_written file_write(struct store_writer *writer, struct store_edit *edits,
                                     size_t n, struct why *why) {
    struct writer_file *w = (struct writer_file *)writer;
    struct plan plan = {0};
    struct stat old;
    enum store_written written = WRITE_FAILED;
    if (lock(w, why) != 0)
        return WRITE_FAILED;
    FILE *from = regular_file_open(w->path, &old, why);
    if (from == NULL)
        written = WRITE_FAILED;
    else if (w->begun && changed(&w->start, &old)) /* by an editor, who knows no lock */
        written = WRITE_CONFLICT;
    else if (plan_edits(&plan, edits, n) != 0)
        fail(w->path, "no memory", why);
    else if (replace(w, &plan, from, &old, why) == 0)
        written = file_history_append(w->path, &old, w->actor, edits, n, why) == 0
                      ? WRITE_DONE
                      : WRITE_UNRECORDED; /* the file is in its place */
    plan_free(&plan);
    if (from != NULL)
        fclose(from);
    w->begun = false;
    unlock(w);
    return written;
}

/* ---- walks ---- */

static int file_scan(struct store_writer *writer, store_take_subject *take, void *context,
                     struct why *why) {
    const struct writer_file *w = (const struct writer_file *)writer;
    struct why ignored;
    char *line = NULL, *last = NULL;
    size_t size = 0;
    ssize_t len;
    int rc = 0;
    FILE *from = regular_file_open(w->path, NULL, why);
    if (from == NULL)
        return -1;
    while (rc == 0 && (len = line_read(from, &line, &size)) >= 0) {
        struct policy_line fact;
        if (policy_line_parse(line, (size_t)len, &fact, &ignored) != 1 ||
            (last != NULL && strcmp(last, fact.subject) == 0))
            continue;
        rc = take(context, fact.subject, strlen(fact.subject));
        free(last);
        last = strdup(fact.subject);
    }
    if (rc != 0)
        fail(w->path, "no memory", why);
    else if (len == LINE_TOO_LONG)
        rc = fail(w->path, "a line is longer than 1 MiB", why);
    else if (!feof(from))
        rc = fail(w->path, strerror(errno), why);
    free(last);
    free(line);
    fclose(from);
    return rc;
}

static int file_history(struct store_writer *writer, int64_t since, store_take_history *take,
                        void *context, struct why *why) {
    const struct writer_file *w = (const struct writer_file *)writer;
    return file_history_walk(w->path, since, take, context, why);
}

/* A file forgets nothing. */
static int file_examine(struct store_writer *writer, store_take_complaint *take, void *context,
                        struct why *why) {
    (void)writer;
    (void)take;
    (void)context;
    (void)why;
    return 0;
}

static void file_free(struct store_writer *writer) {
    struct writer_file *w = (struct writer_file *)writer;
    unlock(w);
    free(w->path);
    free(w);
}

static const struct store_writer_ops file_ops = {.batch = SIZE_MAX,
                                                 .begin = file_begin,
                                                 .leave = file_leave,
                                                 .write = file_write,
                                                 .scan = file_scan,
                                                 .history = file_history,
                                                 .examine = file_examine,
                                                 .free = file_free};

int store_writer_file_open(const struct store_url *url, const char *actor,
                           struct store_writer **out, struct why *why) {
    struct writer_file *w = calloc(1, sizeof *w);
    if (w == NULL)
        return fail(url->path, "no memory", why);
    w->writer.ops = &file_ops;
    w->actor = actor;
    w->locked = -1;
    w->path = realpath(url->path, NULL);
    if (w->path == NULL) {
        fail(url->path, strerror(errno), why);
        file_free(&w->writer);
        return -1;
    }
    *out = &w->writer;
    return 0;
}
