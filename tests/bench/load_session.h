#ifndef BENCH_LOAD_SESSION_H
#define BENCH_LOAD_SESSION_H

#include "load_identity.h"
#include "load_options.h"
#include "load_report.h"
#include "load_script.h"
#include "milter_wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What all sessions of a run share; it outlives them. */
struct load_context {
    const struct load_options *options;
    struct load_report *report;
    int epoll_fd;
    struct load_terms_cache terms_cache;
};

/* A place for one session after another. Zero it, then set `idle` (ask for nothing after CONNECT,
 * and stay) and fd = -1. While begun, its address is what epoll hands out. */
struct load_session {
    bool idle;
    int fd; /* -1 when there is no session */
    bool connecting;
    bool parked;
    uint32_t watched; /* epoll events asked for; 0: not in epoll */
    struct load_position position;
    struct load_terms terms;
    struct load_identity identity;
    struct milter_buffer in;
    struct milter_buffer out;
    size_t sent;         /* of out */
    uint64_t begun_ns;   /* CLOCK_MONOTONIC, as are all times here */
    uint64_t asked_ns;   /* when the command now waited for went out */
    uint64_t message_ns; /* when the first one after MAIL did, or 0 */
};

enum load_progress {
    LOAD_RUNNING, /* wait for its next event */
    LOAD_BUSY,    /* the filter's queue is full: begin again, soon, with the same number */
    LOAD_PARKED,  /* idle from now on; its events are still to be passed on */
    LOAD_ENDED    /* reported, and its place free for the next */
};

/* Begins session `number` at a free or busy place. */
enum load_progress load_session_begin(struct load_session *session, struct load_context *context,
                                      uint64_t number);

/* Takes the epoll events of a begun session as far as they go. */
enum load_progress load_session_event(struct load_session *session, struct load_context *context,
                                      uint32_t events);

/* Ends a begun session as failed: no answer in time. */
void load_session_give_up(struct load_session *session, struct load_context *context);

/* Frees a place, closing what is open there without a report. */
void load_session_free(struct load_session *session);

uint64_t load_session_clock(void);

#endif
