/*
 * What a verdict line of the log was asked.
 */
#ifndef GATEPOST_CTL_EXPLAIN_LOG_LINE_H
#define GATEPOST_CTL_EXPLAIN_LOG_LINE_H

#include <stdio.h>

#include "../ctl.h"
#include "gatepost/core/why.h"

/* Owns the values of a line. */
struct log_line {
    char *values[12];
    size_t n;
};

/*
 * Reads `from` to its end, and the question that a line is the answer to: client, HELO, sender,
 * login, listener, door and service, whether it was asked at connect. Of several lines the last
 * verdict counts, with `question->session` that of this session; what stands in front of an event,
 * such as syslog's time and host, is skipped.
 * What the question has already stays. Where an old line does not say whether there was TLS, there
 * was, unless the reason is tls-required. Returns 0 with texts that belong to `line`, or -1 with
 * the reason and nothing to clear.
 */
int log_line_read(FILE *from, struct log_line *line, struct ctl_question *question,
                  struct why *why);
void log_line_clear(struct log_line *line);

#endif
