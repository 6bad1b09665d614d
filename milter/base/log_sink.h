/*
 * Where log lines go: standard error, the socket of the system's log, or the journal. Nothing here
 * waits for a reader unless it is asked to, but for the journal.
 *
 * One set for the process. Each target has its own state, without a lock: one thread at a time.
 */
#ifndef GATEPOST_BASE_LOG_SINK_H
#define GATEPOST_BASE_LOG_SINK_H

#include <stddef.h>
#include <time.h>

#include "gatepost/base/log.h"

/* Octets of the longest line, its newline included. */
#define LOG_LINE_MAX 8000

struct log_line {
    time_t when;      /* seconds since the epoch */
    int priority;     /* a syslog(3) level */
    const char *text; /* `len` octets, of which the last is a newline */
    size_t len;
    const char *fields; /* for the journal: "NAME=VALUE" with a NUL each; NULL */
    size_t fields_len;  /* all octets of them */
};

/* Octets of all fields of a line. */
#define LOG_FIELDS_MAX 14000

/*
 * WRITTEN: the reader has it, as far as the kernel is concerned. FULL: not now; the reader is slow,
 * or there is none. NEVER: no reader takes a line like this.
 */
enum log_sink_result { LOG_SINK_WRITTEN, LOG_SINK_FULL, LOG_SINK_NEVER };

/*
 * Opens standard error a second time, so that writing to it need not wait: to switch O_NONBLOCK on
 * would do so for every process that has the same one. To be called before a change of user, who
 * may not open it.
 */
void log_sink_prepare(void);

/*
 * Writes a line without waiting, but for the journal: libsystemd waits for that. A line that is cut
 * short by the reader is completed later.
 */
enum log_sink_result log_sink_put(enum log_target target, const struct log_line *line);

/* Waits until there may be room again, at most `ms` milliseconds. */
void log_sink_wait(enum log_target target, int ms);

/* Writes a line to standard error and waits for its reader as long as it takes. */
void log_sink_write_stderr(const struct log_line *line);

/* The socket of the system's log, /dev/log; a test may have another. */
extern const char *log_sink_socket;

#endif
