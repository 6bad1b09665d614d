/*
 * The line that each verdict leaves in the log, with its stable keys.
 */
#ifndef GATEPOST_SESSION_VERDICT_LOG_H
#define GATEPOST_SESSION_VERDICT_LOG_H

#include "gatepost/base/log.h"
#include "gatepost/session/session.h"

struct verdict_record {
    const char *stage; /* "connect" or "mail" */
    const char *queue; /* NULL where the MTA has none yet */
    bool has_account;
    const struct reply_values *values;
    const struct verdict *verdict;
    bool stale;              /* the policy served without the store */
    const char *spf_problem; /* "" or NULL for none */
    const struct session_answer *answer;
    int64_t microseconds; /* that the verdict took */
};

/* Any thread. */
void verdict_log(const struct verdict_record *record);

#endif
