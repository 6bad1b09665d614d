/*
 * One change of one subject: checked, compared with what is there, guarded, written; again when
 * somebody else was faster. Says nothing itself.
 */
#ifndef GATEPOST_WRITE_CHANGE_H
#define GATEPOST_WRITE_CHANGE_H

#include "gatepost/config/config.h"
#include "gatepost/write/fact_check.h"
#include "gatepost/write/plan.h"

/* What is there: the subject's hash, for an account its policies too. The reader's own. */
struct change_before {
    const struct store_hash *hash;
    const struct policy_set *policies; /* NULL for a network */
    enum policy_subject own;           /* which of them is the subject's */
};

/*
 * Reads that, again for each try; what it gave before is needed no more. Returns 0, or -1 with the
 * reason.
 */
typedef int change_read(void *context, const char *subject, struct change_before *out,
                        struct why *why);

struct change {
    struct store_writer *writer; /* NULL: a trial, which writes nothing; with dry_run */
    const struct config *config;
    const struct fact_rules *rules;
    change_read *read;
    void *context; /* of read */
    const char *subject;
    const struct wanted_fact *wanted;
    size_t n;
    bool drop;  /* the whole subject goes, whatever it is */
    bool force; /* the guard only warns */
    bool dry_run;
    int64_t now; /* seconds since the epoch */

    /* what came of it */
    const char *bad_field;   /* of CHANGE_MALFORMED */
    struct change_plan plan; /* its texts are those of the last reading */
    bool forced;             /* the guard has warned: */
    struct why warning;
};

enum change_result {
    CHANGE_DONE,       /* or nothing had to change, or dry_run */
    CHANGE_UNRECORDED, /* done, but not in the history, for the reason */
    CHANGE_MALFORMED,  /* a fact may not be written, for the reason */
    CHANGE_WRONG_TYPE, /* the key is no hash */
    CHANGE_ABSENT,     /* nothing is there to drop */
    CHANGE_GUARDED,    /* it would lock somebody out, as the reason says */
    CHANGE_REFUSED,    /* by the store, for the reason */
    CHANGE_TOO_LATE,   /* others kept changing it at the same time */
    CHANGE_FAILED,     /* for the reason; it may or may not be written */
};

/* Only CHANGE_DONE and CHANGE_UNRECORDED change something. change_clear() in every case. */
enum change_result change_make(struct change *change, struct why *why);
void change_clear(struct change *change);

#endif
