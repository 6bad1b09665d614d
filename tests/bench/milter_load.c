/* milter_load: a closed-loop load generator for milters. This file owns the event loop and decides
   which place begins its next session when; a place whose session ends waits for the end of the
   batch of events, so that a filter that fails at once cannot keep the loop from ending. */

#include "load_options.h"
#include "load_report.h"
#include "load_session.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define EVENT_BATCH 256

/* Places whose session is to begin, in their order. Each place is in it at most once. */
struct queue {
    struct load_session **places;
    unsigned size;
    unsigned head;
    unsigned used;
};

struct run {
    struct load_context context;
    struct load_session *places; /* the idle ones first */
    unsigned place_count;
    struct queue queue;
    unsigned active;  /* begun and neither ended nor parked */
    uint64_t begun;   /* numbers given out */
    uint64_t most;    /* numbers to give out */
    uint64_t stop_ns; /* nothing begins after this */
    uint64_t limit_ns;
};

static void queue_push(struct queue *queue, struct load_session *place) {
    queue->places[(queue->head + queue->used++) % queue->size] = place;
}

static void queue_push_front(struct queue *queue, struct load_session *place) {
    queue->head = (queue->head + queue->size - 1) % queue->size;
    queue->places[queue->head] = place;
    queue->used++;
}

static struct load_session *queue_pop(struct queue *queue) {
    struct load_session *place = queue->places[queue->head];
    queue->head = (queue->head + 1) % queue->size;
    queue->used--;
    return place;
}

/* Books what became of a place. Idle connections are not tried again. */
static void note_progress(struct run *run, struct load_session *place,
                          enum load_progress progress) {
    if (progress == LOAD_RUNNING)
        return;
    run->active--;
    if (progress == LOAD_PARKED)
        run->context.report->idle++;
    else if (!place->idle)
        queue_push(&run->queue, place);
}

/* Begins what may begin. A filter whose queue is full is asked again after the next events. */
static void begin_sessions(struct run *run, uint64_t now) {
    for (unsigned left = run->queue.used; left > 0; left--) {
        struct load_session *place = queue_pop(&run->queue);
        bool busy = place->fd >= 0;
        if (!busy && (run->begun >= run->most || now >= run->stop_ns))
            continue;
        if (!busy)
            run->active++;
        enum load_progress progress =
            load_session_begin(place, &run->context, busy ? 0 : run->begun++);
        if (progress == LOAD_BUSY) {
            queue_push_front(&run->queue, place);
            return;
        }
        note_progress(run, place, progress);
    }
}

static void take_event(struct run *run, const struct epoll_event *event) {
    struct load_session *place = event->data.ptr;
    bool parked = place->parked;
    enum load_progress progress = load_session_event(place, &run->context, event->events);
    if (!parked)
        note_progress(run, place, progress);
}

static void give_up(struct run *run) {
    for (unsigned i = 0; i < run->place_count; i++) {
        if (run->places[i].fd >= 0 && !run->places[i].parked)
            load_session_give_up(&run->places[i], &run->context);
    }
    run->active = 0;
    run->queue.used = 0;
}

static int wait_ms(const struct run *run, uint64_t now) {
    if (run->queue.used > 0)
        return 1;
    return (int)((run->limit_ns - now) / 1000000u) + 1;
}

/* Until nothing is in progress and nothing may begin. */
static void loop(struct run *run) {
    struct epoll_event events[EVENT_BATCH];
    for (;;) {
        uint64_t now = load_session_clock();
        if (now >= run->limit_ns)
            give_up(run);
        begin_sessions(run, now);
        if (run->active == 0 && run->queue.used == 0)
            return;
        int count = epoll_wait(run->context.epoll_fd, events, EVENT_BATCH, wait_ms(run, now));
        for (int i = 0; i < count; i++)
            take_event(run, &events[i]);
    }
}

static uint64_t add_seconds(uint64_t time_ns, double seconds) {
    return time_ns + (uint64_t)(seconds * 1e9);
}

static void open_idle(struct run *run) {
    run->most = run->context.options->idle;
    run->stop_ns = run->limit_ns;
    for (unsigned i = 0; i < run->context.options->idle; i++) {
        run->places[i].idle = true;
        queue_push(&run->queue, &run->places[i]);
    }
    loop(run);
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void measure(struct run *run) {
    const struct load_options *options = run->context.options;
    struct load_report *report = run->context.report;
    double cpu_before = cpu_seconds();
    uint64_t begin = load_session_clock();
    run->begun = 0;
    run->most = options->sessions > 0 ? options->sessions : UINT64_MAX;
    run->stop_ns = options->seconds > 0 ? add_seconds(begin, options->seconds) : UINT64_MAX;
    for (unsigned i = options->idle; i < run->place_count; i++)
        queue_push(&run->queue, &run->places[i]);
    loop(run);
    report->seconds = (double)(load_session_clock() - begin) / 1e9;
    report->cpu_seconds = cpu_seconds() - cpu_before;
}

/* One descriptor for each place and a few of our own. */
static int allow_descriptors(unsigned places) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -1;
    if (limit.rlim_cur >= (rlim_t)places + 16)
        return 0;
    limit.rlim_cur = (rlim_t)places + 16;
    if (limit.rlim_cur <= limit.rlim_max)
        return setrlimit(RLIMIT_NOFILE, &limit);
    errno = EMFILE;
    return -1;
}

static int run_open(struct run *run, const struct load_options *options,
                    struct load_report *report) {
    *run = (struct run){.context = {.options = options, .report = report, .epoll_fd = -1}};
    run->place_count = options->idle + options->connections;
    run->limit_ns = add_seconds(load_session_clock(), options->time_limit);
    run->places = calloc(run->place_count, sizeof *run->places);
    run->queue.places = calloc(run->place_count, sizeof(struct load_session *));
    run->queue.size = run->place_count;
    if (run->places == NULL || run->queue.places == NULL)
        return -1;
    for (unsigned i = 0; i < run->place_count; i++)
        run->places[i].fd = -1;
    if (allow_descriptors(run->place_count) != 0)
        return -1;
    run->context.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return run->context.epoll_fd >= 0 ? 0 : -1;
}

static void run_close(struct run *run) {
    for (unsigned i = 0; run->places != NULL && i < run->place_count; i++)
        load_session_free(&run->places[i]);
    milter_buffer_free(&run->context.terms_cache.answer);
    if (run->context.epoll_fd >= 0)
        close(run->context.epoll_fd);
    free(run->queue.places);
    free(run->places);
}

int main(int argc, char **argv) {
    static struct load_report report;
    struct load_options options;
    struct run run;
    int rc = load_options_read(&options, argc, argv);
    if (rc != 0)
        return rc > 0 ? 0 : 2;
    rc = run_open(&run, &options, &report);
    if (rc == 0) {
        alarm((unsigned)options.time_limit + 10); /* should the loop itself ever hang */
        open_idle(&run);
        measure(&run);
        load_report_print(&report, options.json);
    } else {
        fprintf(stderr, "milter_load: cannot set up: %s\n", strerror(errno));
    }
    run_close(&run);
    return rc == 0 && load_report_errors(&report) == 0 && report.unexpected == 0 ? 0 : 1;
}
