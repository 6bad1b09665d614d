/*
 * Lines on their way to the log: written by their caller while the reader keeps up, and by a
 * thread of the log's own when it does not.
 *
 * Any thread may put lines; the others are for the thread that opens and closes the log.
 */
#ifndef GATEPOST_BASE_LOG_WRITER_H
#define GATEPOST_BASE_LOG_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "log_sink.h"

/*
 * Makes the line that says how many lines were lost, in the memory that it is given: LOG_LINE_MAX
 * octets for the text, LOG_FIELDS_MAX for the fields.
 */
typedef void log_writer_lost(char *text, char *fields, uint64_t lost, struct log_line *line);

/*
 * From now on no line waits for its reader. Until then each is written before its call returns,
 * whatever it takes.
 */
void log_writer_queue(log_writer_lost *lost);

/*
 * Starts the thread that empties the queue; until then only log_writer_stop() does. Returns 0, or
 * -1 when no thread can be started.
 */
int log_writer_start(void);

/* Where lines go; those that wait go there too. */
void log_writer_target(enum log_target target);

/*
 * Takes a line. In the order in which calls begin lines are written; where there is no room left
 * for those that wait, a line is lost and counted.
 */
void log_writer_put(const struct log_line *line);

/* A line for the system's log (not the journal), wherever the others go; lost without a count if
 * they go elsewhere.
 */
void log_writer_put_syslog(const struct log_line *line);

/* A copy for standard error of a line for syslog; it is not waited for longer than a moment. */
void log_writer_copy_to_stderr(const struct log_line *line);

/* Are lines being lost? */
bool log_writer_is_losing(void);

/*
 * Writes what can be written within LOG_WRITER_PATIENCE milliseconds, and ends the thread. Lines
 * that are put later are written only where that needs no waiting.
 */
#define LOG_WRITER_PATIENCE 3000
void log_writer_stop(void);

#endif
