#ifndef BENCH_LOAD_REPORT_H
#define BENCH_LOAD_REPORT_H

#include "histogram.h"
#include "load_options.h"

#include <stdbool.h>
#include <stdint.h>

enum load_phase {
    LOAD_PHASE_NEGOTIATE, /* from connect(), with the wait for a place in the filter's queue */
    LOAD_PHASE_CONNECT,
    LOAD_PHASE_HELO, /* empty when HELO goes without an answer */
    LOAD_PHASE_MAIL,
    LOAD_PHASE_MESSAGE, /* from what follows MAIL to the answer to the end of the message */
    LOAD_PHASE_SESSION, /* from connect() to the last answer */
    LOAD_PHASES
};

enum load_error {
    LOAD_ERROR_CONNECT,
    LOAD_ERROR_CLOSED,
    LOAD_ERROR_MALFORMED,
    LOAD_ERROR_UNASKED,
    LOAD_ERROR_TIME,
    LOAD_ERROR_SYSTEM,
    LOAD_ERRORS
};

/* What a run came to. All zero is a run without sessions. */
struct load_report {
    uint64_t outcomes[LOAD_OUTCOMES];
    uint64_t errors[LOAD_ERRORS];
    uint64_t unexpected;    /* outcomes other than --expect */
    uint64_t modifications; /* of messages, that the filter asked for */
    uint64_t idle;          /* connections that reached their rest */
    double seconds;
    double cpu_seconds; /* of the generator itself */
    struct histogram latency[LOAD_PHASES];
};

/* Counts a failed session. The first of each kind is described on stderr; `detail` may be "". */
void load_report_error(struct load_report *report, enum load_error error, const char *step,
                       const char *detail);

/* Counts a session's outcome; the first that differs from `expect` (if that is not -1) is
   described on stderr with the filter's words, which need not be printable. */
void load_report_outcome(struct load_report *report, enum load_outcome outcome, int expect,
                         const char *step, const char *words);

uint64_t load_report_errors(const struct load_report *report);

void load_report_print(const struct load_report *report, bool json);

#endif
