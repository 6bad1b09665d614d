#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

/* 64 buckets for each power of two up to 2^40 ns (18 minutes): a recorded value is known to
   within 1/64 of itself. Larger values fall into the last bucket; the maximum stays exact. */
#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_TOP_BITS 40
#define HISTOGRAM_BUCKETS ((HISTOGRAM_TOP_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

/* All zero is an empty histogram. Not for use by several threads at once. */
struct histogram {
    uint64_t total;
    uint64_t max;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_record(struct histogram *histogram, uint64_t value);

/* The smallest recordable value that at least `fraction` (0 to 1) of the recorded values do not
   exceed, or 0 for an empty histogram. */
uint64_t histogram_quantile(const struct histogram *histogram, double fraction);

#endif
