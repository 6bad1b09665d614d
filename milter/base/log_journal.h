/*
 * The journal of systemd, by its own protocol: the line as MESSAGE, and each value as a field.
 */
#ifndef GATEPOST_BASE_LOG_JOURNAL_H
#define GATEPOST_BASE_LOG_JOURNAL_H

#include "log_sink.h"

/*
 * Gives a line to the journal; waits as long as that does not read. FULL when there is no journal,
 * NEVER where this program was built without libsystemd.
 */
enum log_sink_result log_journal_put(const struct log_line *line);

#endif
