/*
 * Lines on their way to the log. Owns the queue, its bound, and the thread that empties it; knows
 * neither what a line says nor where it goes.
 *
 * As long as the reader keeps up a line is written by its caller, at the cost of one system call,
 * and stands in the log before the MTA has its answer. The first one that finds no room is queued,
 * and those after it are, until the thread has written all of them.
 */
#include "log_writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/metrics.h"

/*
 * Octets of lines that may wait, and as many again in the hands of the thread: some 5,000
 * verdicts each. A batch is given to the thread whole, and no line is taken while it is full, so
 * that a slow reader finds few long gaps in the log instead of many short ones.
 */
#define BATCH_MAX ((size_t)2 << 20)

/* Milliseconds until a reader that did not take a line is tried again. */
#define RETRY 100

struct batch {
    char *octets;
    size_t len, size;
};

/* A line in a batch; its text follows, then its fields. */
struct entry {
    time_t when;
    int priority;
    size_t len, fields_len;
};

static struct {
    pthread_mutex_t lock; /* for all below, and for a target that the thread is not busy with */
    pthread_cond_t more;
    pthread_t thread;
    bool running; /* the thread; known to who starts and ends it */
    enum { DIRECT, QUEUED, CLOSED } state;
    log_writer_lost *lost_line;
    struct batch waiting;
    uint64_t lost; /* since the last batch was taken */
    bool busy;     /* the thread writes: the target is its own */
    atomic_bool losing;
    atomic_int target;  /* enum log_target */
    atomic_ullong kept; /* lines that wait, in the hands of the thread too */
    atomic_llong stop;  /* the deadline of a stop, by clock_now_ms(); 0 while there is none */
} writer = {.lock = PTHREAD_MUTEX_INITIALIZER, .target = LOG_TO_STDERR};

static enum log_target target(void) {
    return (enum log_target)atomic_load(&writer.target);
}

/* Makes room in a batch. Returns 0, or -1 when it is full or there is no memory. */
static int grow(struct batch *batch, size_t by) {
    size_t wanted = batch->size == 0 ? 16384 : batch->size;
    if (batch->len + by > BATCH_MAX)
        return -1;
    while (wanted < batch->len + by)
        wanted *= 2;
    if (wanted == batch->size)
        return 0;
    char *grown = realloc(batch->octets, wanted);
    if (grown == NULL)
        return -1;
    batch->octets = grown;
    batch->size = wanted;
    return 0;
}

/* The lock is held. */
static void lose_locked(void) {
    writer.lost++;
    atomic_store(&writer.losing, true);
    metrics_log_lost(1);
}

/* The lock is held. */
static void queue_locked(const struct log_line *line) {
    const struct entry entry = {line->when, line->priority, line->len, line->fields_len};
    struct batch *batch = &writer.waiting;
    if (writer.lost > 0 || grow(batch, sizeof entry + line->len + line->fields_len) != 0) {
        lose_locked();
        return;
    }
    char *out = mempcpy(batch->octets + batch->len, &entry, sizeof entry);
    out = mempcpy(out, line->text, line->len);
    if (line->fields_len > 0)
        memcpy(out, line->fields, line->fields_len);
    batch->len += sizeof entry + line->len + line->fields_len;
    atomic_fetch_add(&writer.kept, 1);
}

/* Without a thread a line waits for its reader; a system's log that is not there loses it. */
static void write_directly(const struct log_line *line) {
    if (target() == LOG_TO_STDERR) {
        log_sink_write_stderr(line);
        return;
    }
    if (log_sink_put(target(), line) == LOG_SINK_FULL) {
        log_sink_wait(target(), RETRY);
        log_sink_put(target(), line);
    }
}

void log_writer_put(const struct log_line *line) {
    pthread_mutex_lock(&writer.lock);
    if (writer.state == DIRECT) {
        write_directly(line);
    } else if (writer.state == CLOSED) {
        log_sink_put(writer.busy ? LOG_TO_STDERR : target(), line);
    } else if (writer.busy || writer.waiting.len > 0 || writer.lost > 0 ||
               target() == LOG_TO_JOURNAL) {
        queue_locked(line);
        pthread_cond_signal(&writer.more);
    } else {
        enum log_sink_result result = log_sink_put(target(), line);
        if (result == LOG_SINK_NEVER)
            lose_locked();
        else if (result == LOG_SINK_FULL)
            queue_locked(line);
        if (result != LOG_SINK_WRITTEN)
            pthread_cond_signal(&writer.more);
    }
    pthread_mutex_unlock(&writer.lock);
}

void log_writer_put_syslog(const struct log_line *line) {
    if (target() == LOG_TO_SYSLOG) {
        log_writer_put(line);
        return;
    }
    pthread_mutex_lock(&writer.lock);
    log_sink_put(LOG_TO_SYSLOG, line);
    pthread_mutex_unlock(&writer.lock);
}

void log_writer_copy_to_stderr(const struct log_line *line) {
    pthread_mutex_lock(&writer.lock);
    if (writer.state == DIRECT) {
        log_sink_write_stderr(line);
    } else if (log_sink_put(LOG_TO_STDERR, line) == LOG_SINK_FULL) {
        log_sink_wait(LOG_TO_STDERR, RETRY);
        log_sink_put(LOG_TO_STDERR, line);
    }
    pthread_mutex_unlock(&writer.lock);
}

/* Has a stop come to its end? */
static bool out_of_time(void) {
    long long stop = atomic_load(&writer.stop);
    return stop != 0 && clock_now_ms() >= stop;
}

/* By the thread, which is busy. Returns 0, or -1 when the line is lost. */
static int write_line(const struct log_line *line) {
    for (;;) {
        enum log_target to = target();
        enum log_sink_result result = log_sink_put(to, line);
        if (result != LOG_SINK_FULL)
            return result == LOG_SINK_WRITTEN ? 0 : -1;
        if (out_of_time())
            return -1;
        log_sink_wait(to, RETRY);
    }
}

/* Returns how many lines of it are lost. */
static uint64_t write_batch(const struct batch *batch) {
    uint64_t lost = 0;
    struct entry entry;
    for (size_t at = 0; at < batch->len; at += sizeof entry + entry.len + entry.fields_len) {
        memcpy(&entry, batch->octets + at, sizeof entry);
        const char *text = batch->octets + at + sizeof entry;
        const struct log_line line = {.when = entry.when,
                                      .priority = entry.priority,
                                      .text = text,
                                      .len = entry.len,
                                      .fields = text + entry.len,
                                      .fields_len = entry.fields_len};
        lost += write_line(&line) != 0;
        atomic_fetch_sub(&writer.kept, 1);
    }
    return lost;
}

/* How many were lost, where they are missing. At a stop standard error may be all that is left. */
static void write_lost(uint64_t lost) {
    char text[LOG_LINE_MAX], fields[LOG_FIELDS_MAX];
    struct log_line line;
    writer.lost_line(text, fields, lost, &line);
    if (write_line(&line) != 0 && target() != LOG_TO_STDERR) {
        pthread_mutex_lock(&writer.lock);
        log_sink_put(LOG_TO_STDERR, &line);
        pthread_mutex_unlock(&writer.lock);
    }
}

/* Writes what waits until a stop: the thread, or without one the stop itself. */
static void *run(void *arg) {
    (void)arg;
    pthread_mutex_lock(&writer.lock);
    for (;;) {
        while (writer.waiting.len == 0 && writer.lost == 0 && atomic_load(&writer.stop) == 0)
            pthread_cond_wait(&writer.more, &writer.lock);
        if (writer.waiting.len == 0 && writer.lost == 0)
            break;
        struct batch batch = writer.waiting;
        uint64_t lost = writer.lost;
        writer.waiting = (struct batch){0};
        writer.lost = 0;
        writer.busy = true;
        atomic_store(&writer.losing, false);
        pthread_mutex_unlock(&writer.lock);
        uint64_t late = write_batch(&batch);
        metrics_log_lost(late);
        if (lost + late > 0)
            write_lost(lost + late);
        free(batch.octets);
        pthread_mutex_lock(&writer.lock);
        writer.busy = false;
    }
    writer.state = CLOSED;
    pthread_mutex_unlock(&writer.lock);
    return NULL;
}

void log_writer_queue(log_writer_lost *lost) {
    log_sink_prepare();
    clock_cond_init(&writer.more);
    pthread_mutex_lock(&writer.lock);
    writer.lost_line = lost;
    writer.state = QUEUED;
    pthread_mutex_unlock(&writer.lock);
}

int log_writer_start(void) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are somebody else's */
    int rc = pthread_create(&writer.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    writer.running = rc == 0;
    return rc == 0 ? 0 : -1;
}

void log_writer_target(enum log_target to) {
    atomic_store(&writer.target, to);
}

bool log_writer_is_losing(void) {
    return atomic_load(&writer.losing);
}

/* A journal that does not read may keep the thread; then what it has is lost. */
static void join_thread(void) {
    char text[LOG_LINE_MAX], fields[LOG_FIELDS_MAX];
    struct timespec until;
    struct log_line line;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LOG_WRITER_PATIENCE / 1000 + 1;
    if (pthread_timedjoin_np(writer.thread, NULL, &until) == 0)
        return;
    pthread_mutex_lock(&writer.lock);
    writer.state = CLOSED;
    writer.lost_line(text, fields, atomic_load(&writer.kept) + writer.lost, &line);
    log_sink_put(LOG_TO_STDERR, &line);
    pthread_mutex_unlock(&writer.lock);
}

void log_writer_stop(void) {
    pthread_mutex_lock(&writer.lock);
    bool queued = writer.state == QUEUED;
    atomic_store(&writer.stop, clock_now_ms() + LOG_WRITER_PATIENCE);
    if (queued)
        pthread_cond_signal(&writer.more);
    pthread_mutex_unlock(&writer.lock);
    if (writer.running)
        join_thread();
    else if (queued)
        run(NULL);
}
