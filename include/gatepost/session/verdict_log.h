/*
 * The line that each verdict leaves in the log, with its stable keys.
 */
#ifndef GATEPOST_SESSION_VERDICT_LOG_H
#define GATEPOST_SESSION_VERDICT_LOG_H

#include "gatepost/core/decision.h"
#include "gatepost/core/reply.h"

struct verdict_record {
    enum stage stage;
    const char *queue;   /* NULL where the MTA has none yet */
    const char *account; /* NULL where there is none: at connect, for the null sender */
    const struct reply_values *values;
    const struct decision *decision; /* made */
    const char *tls;   /* "yes" or "no"; NULL where it is not asked: at connect, for the header */
    bool stale;        /* the policy served without the store */
    bool app_password; /* it was made with one of the account's */
    const char *password_id;    /* which one; NULL for none, or where nobody says */
    const unsigned *spf_prefix; /* of an SPF pass, as spf_answer.prefix; else NULL */
    const char *spf_problem;    /* "" or NULL for none */
    const struct reply *reply;  /* of what is deferred or rejected */
    int64_t microseconds;       /* that the verdict took */
};

/* Any thread. */
void verdict_log(const struct verdict_record *record);

#endif
