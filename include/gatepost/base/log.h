/*
 * The log: one line an event, as logfmt or JSON, to the system's log or to standard error.
 *
 * After log_serve() nobody waits for who reads it. While the reader keeps up a line is written
 * before the call returns. When it does not, lines wait in a queue of bounded size and are written
 * in their order as it reads on; those that find no room are counted (gatepost_log_lost_total),
 * and event=log-lost count= stands in their place.
 *
 * A warning or error that says the same again and again is written five times a second at most;
 * the next one that is written tells by repeated= how many were left out. When there is none for
 * two seconds, event=left-out of=EVENT repeated= tells it before the next line of any kind, or at
 * the end: no line goes uncounted.
 *
 * One log for the process. log_open() is called before threads start, and again by a reload;
 * log_serve(), log_started() and log_close() once, by the thread that ends last. No process is
 * forked in between. Everything else may be called from any thread.
 */
#ifndef GATEPOST_BASE_LOG_H
#define GATEPOST_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <syslog.h>
#include <time.h>

#include "gatepost/core/why.h"

enum log_target { LOG_TO_SYSLOG, LOG_TO_STDERR, LOG_TO_JOURNAL };
enum log_format { LOG_LOGFMT, LOG_JSON };

/* Can LOG_TO_JOURNAL be had: was this program built with libsystemd? */
bool log_has_journal(void);

/* Is there a journal on this host? Returns 0, or -1 with the reason. */
int log_try_journal(struct why *why);

/* Lines of a lesser priority than `level` (a syslog(3) level) are left out. */
void log_open(enum log_target target, enum log_format format, int level);

/*
 * From now on no line waits for its reader; without this call each is written before the call
 * returns, whatever it takes, which is right for a short-lived tool. To be called before a change
 * of user, who may not open standard error again.
 */
void log_serve(void);

/*
 * Are lines being lost, because nobody reads them and no more can wait? If so the reason is in
 * `why`, which is left alone otherwise.
 */
bool log_is_losing(struct why *why);

/*
 * Tells what was left out, and writes what the reader takes within some three seconds. Later lines
 * are written only where that needs no waiting.
 */
void log_close(void);

/*
 * The start is over: until then lines for syslog go to standard error as well, where an operator
 * who starts the filter by hand sees them. Now, after a change of user, the thread begins that
 * writes what waits; before, it waits for log_close(). Returns 0, or -1 when no thread can be
 * started.
 */
int log_started(void);

/*
 * Writes one line: event=NAME and the given pairs of key and value, ended by (char *)NULL for a
 * key. A key is a plain word of ours; a value is escaped, NULL means absent, one that is too long
 * for the line becomes "...". `event` is a static text, `priority` a syslog(3) level.
 */
void log_event(int priority, const char *event, ...) __attribute__((sentinel));

/* The same from an array of `n` pairs. */
struct log_pair {
    const char *key, *value;
};
void log_pairs(int priority, const char *event, const struct log_pair *pairs, size_t n);

/*
 * Tells the last lines of priority LOG_ERR and above, oldest first, at most LOG_RECENT.
 */
#define LOG_RECENT 20
typedef void log_take(void *context, time_t when, const char *line);
void log_recent(log_take *take, void *context);

/*
 * What a library gives to syslog(3), its words as they are: for the system's log, wherever our own
 * lines go, but like them without waiting for its reader.
 */
void log_library(int priority, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/*
 * Counts and reports a fact that cannot be read: event=policy-malformed with its whole key, its
 * field (NULL: the key itself) and the reason.
 */
void log_malformed(const char *key, const char *field, const char *why);

#endif
