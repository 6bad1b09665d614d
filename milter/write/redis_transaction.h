/*
 * The transaction by which one subject changes in Redis, and its entries in the history.
 *
 * Each is queued on a connection, many if need be, and its replies are taken in the same order. In
 * one way the entries are part of the transaction; where the history is on another server they are
 * a transaction of their own, for which the first one tells when it was done. One thread.
 */
#ifndef GATEPOST_WRITE_REDIS_TRANSACTION_H
#define GATEPOST_WRITE_REDIS_TRANSACTION_H

#include "gatepost/core/why.h"
#include "gatepost/write/writer.h"
#include "redis_client.h"

/* Subjects in one go: few enough that Redis serves the filter in between. */
#define REDIS_EDIT_BATCH 256

/* Who writes, and into which stream; both borrowed. */
struct redis_scribe {
    const char *actor;
    const char *stream; /* key of the history; NULL: it is on another server */
};

/* What is to be done with the history; all of it borrowed. */
struct redis_errand {
    const struct redis_scribe *scribe;
    const struct store_edit *edit;
    bool asking;  /* ASKING goes before MULTI */
    bool history; /* only the entries, of an edit that was done at `at`, as redis_transaction_take()
                     said */
    int64_t at;
};

/*
 * Queues one transaction; `command` is used for it, whatever was in it. The first MULTI of a
 * connection is waited for here: if it were refused, each command after it would be done at once
 * and on its own. Returns the number of replies, or -1 with the reason: nothing of it is done, and
 * the connection must not be used any more.
 */
int redis_transaction_queue(struct redis_client *talk, struct redis_command *command,
                            const struct redis_errand *errand, struct why *why);

/* How one transaction went. */
struct redis_transaction_outcome {
    bool conflict;   /* something watched has changed: nothing is done */
    bool done;       /* it was carried out, if perhaps not all of it without error */
    char error[200]; /* the first error among the replies; "" for none */
    int64_t at;      /* microseconds by the server's clock, in order; 0 where it was not asked */
};

/* Takes `n` replies. Returns 0, or -1 with the reason when they do not come. */
int redis_transaction_take(struct redis_client *talk, int n, struct redis_transaction_outcome *out,
                           struct why *why);

#endif
