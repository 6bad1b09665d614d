/* A small log-linear histogram: constant memory, constant time to record, and a bounded relative
   error. It owns the bucket arithmetic and knows nothing of what is measured nor of units. */

#include "histogram.h"

#define SUB_COUNT (1u << HISTOGRAM_SUB_BITS)

static unsigned bucket_of(uint64_t value) {
    if (value < SUB_COUNT)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    if (shift >= HISTOGRAM_TOP_BITS - HISTOGRAM_SUB_BITS)
        return HISTOGRAM_BUCKETS - 1;
    return ((shift + 1) << HISTOGRAM_SUB_BITS) + (unsigned)(value >> shift) - SUB_COUNT;
}

static uint64_t bucket_top(unsigned bucket) {
    if (bucket < SUB_COUNT)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t base = (uint64_t)(bucket % SUB_COUNT + SUB_COUNT) << shift;
    return base + (UINT64_C(1) << shift) - 1;
}

void histogram_record(struct histogram *histogram, uint64_t value) {
    histogram->counts[bucket_of(value)]++;
    histogram->total++;
    if (value > histogram->max)
        histogram->max = value;
}

uint64_t histogram_quantile(const struct histogram *histogram, double fraction) {
    double wanted = fraction * (double)histogram->total;
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (seen > 0 && (double)seen >= wanted) {
            uint64_t top = bucket_top(bucket);
            return top < histogram->max ? top : histogram->max;
        }
    }
    return histogram->max;
}
