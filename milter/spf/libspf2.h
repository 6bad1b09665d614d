/*
 * The order in which the terms of SPF records are asked, and what a match, an include and a
 * redirect come to (RFC 7208 4.6.2, 5.2, 6.1): libspf2, which sees names of ours only.
 *
 * Records are made of `all` and of `exists:`, `include:` and `redirect=` with a name whose meaning
 * is the caller's. Any number of threads may evaluate at once.
 */
#ifndef GATEPOST_SPF_LIBSPF2_H
#define GATEPOST_SPF_LIBSPF2_H

#include <stddef.h>

#include "gatepost/core/vocabulary.h"

/* The name of the record that an evaluation begins with. */
#define SPF_ENGINE_FIRST "t0.q"

/* A record's text, its end included. libspf2 compiles what is shorter than 511 octets safely. */
#define SPF_ENGINE_RECORD_SIZE 420

/* What libspf2 asks; `context` is the caller's. */
struct spf_engine_source {
    void *context;
    /* The record of a name, into `out`. Returns 1, 0 when there is none, or -1: it is over. */
    int (*record)(void *context, const char *name, char out[SPF_ENGINE_RECORD_SIZE]);
    /* Does the term `exists:name` match? Returns 1 or 0, or -1: the evaluation is over. */
    int (*matches)(void *context, const char *name);
};

struct spf_engines;

/* NULL when there is no memory. */
struct spf_engines *spf_engines_new(void);

/* To be called when no evaluation is in progress. */
void spf_engines_free(struct spf_engines *engines);

/*
 * Evaluates the record of SPF_ENGINE_FIRST. The result means nothing when `source` said that the
 * evaluation is over; it is RESULT_TEMPERROR when there is no memory.
 */
enum spf_result spf_engines_run(struct spf_engines *engines,
                                const struct spf_engine_source *source);

#endif
