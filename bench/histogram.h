/* histogram.h - how long requests took, by the million
 *
 * Owns:    the counts of a histogram.
 * Called:  a histogram by one thread.
 * Locks:   none.
 * Never:   allocates; forgets the longest.
 *
 * Buckets are 1/64 of their value wide, so a quantile is off by 1.6 % at most.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BENCH_HISTOGRAM_H
#define ZSLOT_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS 64u /* buckets for each power of two */
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * 59u)

struct histogram {
    uint64_t count, longest_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t ns);

/* What SHARE (0 to 1) of the times are not above, in ns; 0 of an empty one. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
