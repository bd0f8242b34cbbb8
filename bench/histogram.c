/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "histogram.h"

/* Below 64 ns a bucket for each; above, 64 for each power of two. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < HISTOGRAM_STEPS)
        return (unsigned)ns;
    unsigned power = 63u - (unsigned)__builtin_clzll(ns); /* 6 and up */

    return (power - 5) * HISTOGRAM_STEPS +
           (unsigned)(ns >> (power - 6)) % HISTOGRAM_STEPS;
}

/* The middle of what is in it. */
static uint64_t value_of(unsigned bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    unsigned shift = bucket / HISTOGRAM_STEPS - 1;

    return ((uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << shift) +
           (UINT64_C(1) << shift) / 2;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    histogram->count++;
    histogram->buckets[bucket_of(ns)]++;
    if (ns > histogram->longest_ns)
        histogram->longest_ns = ns;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t before = 0, wanted = (uint64_t)(share * (double)histogram->count);

    if (histogram->count == 0)
        return 0;
    if (wanted >= histogram->count)
        return histogram->longest_ns;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        before += histogram->buckets[i];
        if (before > wanted)
            return value_of(i);
    }
    return histogram->longest_ns;
}
