/*
 * What the filter counts, under the names and labels that Prometheus will read.
 *
 * One set for the process; it outlives configurations. Counting is a relaxed atomic addition and
 * may be done from any thread.
 */
#ifndef GATEPOST_BASE_METRICS_H
#define GATEPOST_BASE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "gatepost/core/vocabulary.h"

enum metrics_outcome { OUTCOME_OK, OUTCOME_ERROR, OUTCOMES };

/* How a DNS question ended: asked and answered, asked without an answer, not asked, too late. */
enum metrics_dns { DNS_ANSWERED, DNS_ERROR, DNS_CACHED, DNS_LATE, DNS_OUTCOMES };

/* How a subject of a look-up was had: from memory, from the store, from memory without the store.
 */
enum metrics_cache { CACHE_HIT, CACHE_MISS, CACHE_STALE, CACHE_OUTCOMES };

struct metrics_listener;

/* The filter begins now; before any thread. */
void metrics_start(void);

/*
 * The counters of a listener, made at the first call with its name (NULL: no listener section) and
 * never freed. NULL when there is no memory: nothing is counted for it then.
 */
struct metrics_listener *metrics_listener(const char *name);

/* The same at another door than the MTA's, for a service ("" or unknown: none). */
struct metrics_listener *metrics_door(const char *name, enum door door, const char *service);

/* A verdict as it was carried out, and what it took in microseconds. */
void metrics_verdict(struct metrics_listener *listener, enum stage stage, enum verdict_kind verdict,
                     enum reason reason, int64_t microseconds);

/* A session began (1) or ended (-1); how many are open. */
void metrics_session(int change);
long metrics_sessions(void);

/* A look-up in the store, an SPF evaluation, a DNS query, a malformed field. */
void metrics_store(enum metrics_outcome outcome, int64_t microseconds);
void metrics_spf(enum spf_result result, int64_t microseconds);
void metrics_dns(enum metrics_dns outcome);
void metrics_malformed(void);

/* A use that was not recorded; an account that came in from a block of its own for the first time.
 */
void metrics_use_dropped(void);
void metrics_new_source(void);

/* Lines of the log that nobody will read. */
void metrics_log_lost(uint64_t n);

/* Subjects of a look-up; subjects that the cache keeps from now on (1) or no more (-1). */
void metrics_cache(enum metrics_cache outcome, size_t n);
void metrics_cache_entries(int change);

/* Whether the store answers now, for metrics_print(). */
void metrics_store_up(bool up);

/* The counters that an operator looks at first. */
struct metrics_now {
    int64_t started; /* milliseconds of clock_now_ms() */
    long sessions, cache_entries;
    uint64_t verdicts[VERDICT_KINDS], cache[CACHE_OUTCOMES], spf[SPF_RESULTS];
    uint64_t store_ok, store_failed, malformed;
};
void metrics_read(struct metrics_now *now);

/* Writes everything in the Prometheus text exposition format, version 0.0.4. */
void metrics_print(FILE *to);

#endif
