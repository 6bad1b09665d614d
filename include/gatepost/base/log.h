/*
 * The log: one line an event, as logfmt or JSON, to syslog(3) or standard error.
 *
 * A warning or error that says the same again and again is written five times a second at most;
 * the next one that is written tells by repeated= how many were left out. When there is none for
 * two seconds, event=left-out of=EVENT repeated= tells it before the next line of any kind, or at
 * the end: no line goes uncounted.
 *
 * One log for the process. log_open() is called before threads start, and again by a reload;
 * everything may be called from any thread.
 */
#ifndef GATEPOST_BASE_LOG_H
#define GATEPOST_BASE_LOG_H

#include <syslog.h>
#include <time.h>

enum log_target { LOG_TO_SYSLOG, LOG_TO_STDERR };
enum log_format { LOG_LOGFMT, LOG_JSON };

/* Lines of a lesser priority than `level` (a syslog(3) level) are left out. */
void log_open(enum log_target target, enum log_format format, int level);

/* Tells what was left out, and writes no more. */
void log_close(void);

/*
 * The start is over: until then lines for syslog go to standard error as well, where whoever
 * starts the filter by hand sees them.
 */
void log_started(void);

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
 * Counts and reports a fact that cannot be read: event=policy-malformed with its whole key, its
 * field (NULL: the key itself) and the reason.
 */
void log_malformed(const char *key, const char *field, const char *why);

#endif
