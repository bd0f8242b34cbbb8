/* latency.h - how long reads took, by where the page was
 *
 * Owns:    the histograms' shape; contexts have the counts.
 * Called:  by request threads, each with a context that it has taken.
 * Locks:   none.
 * Never:   looks at a clock for each read of a page in RAM: that would cost more than 2 %
 *          of the fastest of them.  One of LATENCY_SAMPLE is timed; of those that wait
 *          for the backing store, every one.
 *
 * Buckets are a quarter of a power of two wide, from 64 ns to 34 s, so a quantile read
 * from them is within a fifth of the truth.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_LATENCY_H
#define ZSLOT_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>

/* where the page was, its name, one of so many is timed, in words */
#define LATENCY_SOURCES(S)                                                             \
    S(SAME, "same", LATENCY_SAMPLE, "in its slot: same-filled pages and zeroes")       \
    S(RAM, "ram", LATENCY_SAMPLE, "an object in RAM")                                  \
    S(BACKING, "backing", 1, "on the backing store")                                   \
    S(IN_FLIGHT, "in_flight", 1,                                                       \
      "on its way from the backing store, fetched for somebody else or ahead")

/* A prime, so that it does not fall into step with a client's pattern. */
#define LATENCY_SAMPLE 61u

enum latency_source {
#define S(name, word, sample, says) LATENCY_##name,
    LATENCY_SOURCES(S)
#undef S
        LATENCY_SOURCE_COUNT
};

#define LATENCY_OCTAVE_MIN 6u /* 2^6 ns */
#define LATENCY_OCTAVES 29u   /* up to 2^35 ns */
#define LATENCY_BUCKETS (1 + 4 * LATENCY_OCTAVES + 1)

struct latency {
    _Atomic uint64_t counts[LATENCY_SOURCE_COUNT][LATENCY_BUCKETS];
    _Atomic uint64_t sum_ns[LATENCY_SOURCE_COUNT];
};

/* One source's, summed over all contexts. */
struct latency_sum {
    uint64_t counts[LATENCY_BUCKETS];
    uint64_t count, sum_ns;
};

unsigned latency_bucket(uint64_t ns);

/* What a bucket's latencies are below of, in ns; UINT64_MAX for the last. */
uint64_t latency_bucket_end_ns(unsigned bucket);

/* Counts what began at SINCE_NS.  LATENCY is one thread's at a time. */
void latency_count(struct latency *latency, enum latency_source source,
                   uint64_t since_ns);

void latency_add(struct latency_sum *sum, const struct latency *latency,
                 enum latency_source source);

/* The latency that PER_MILLE of those counted are below of, in ns; 0 if there are none. */
uint64_t latency_quantile_ns(const struct latency_sum *sum, unsigned per_mille);

const char *latency_word(enum latency_source source);
unsigned latency_sample(enum latency_source source);

#endif
