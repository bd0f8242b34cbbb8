/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "latency.h"

#include "clock.h"

unsigned latency_bucket(uint64_t ns)
{
    if (ns < 1u << LATENCY_OCTAVE_MIN)
        return 0;
    unsigned octave = 63u - (unsigned)__builtin_clzll(ns);
    if (octave >= LATENCY_OCTAVE_MIN + LATENCY_OCTAVES)
        return LATENCY_BUCKETS - 1;
    return 1 + 4 * (octave - LATENCY_OCTAVE_MIN) + (unsigned)(ns >> (octave - 2) & 3);
}

uint64_t latency_bucket_end_ns(unsigned bucket)
{
    if (bucket == 0)
        return UINT64_C(1) << LATENCY_OCTAVE_MIN;
    if (bucket == LATENCY_BUCKETS - 1)
        return UINT64_MAX;
    unsigned octave = LATENCY_OCTAVE_MIN + (bucket - 1) / 4;
    return (UINT64_C(5) + (bucket - 1) % 4) << (octave - 2);
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter,
                          atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void latency_count(struct latency *latency, enum latency_source source,
                   uint64_t since_ns)
{
    uint64_t ns = clock_now_ns() - since_ns;

    add(&latency->counts[source][latency_bucket(ns)], 1);
    add(&latency->sum_ns[source], ns);
}

void latency_add(struct latency_sum *sum, const struct latency *latency,
                 enum latency_source source)
{
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        uint64_t n =
            atomic_load_explicit(&latency->counts[source][i], memory_order_relaxed);

        sum->counts[i] += n;
        sum->count += n;
    }
    sum->sum_ns += atomic_load_explicit(&latency->sum_ns[source], memory_order_relaxed);
}

uint64_t latency_quantile_ns(const struct latency_sum *sum, unsigned per_mille)
{
    uint64_t below = 0, start_ns = 0;

    if (sum->count == 0)
        return 0;
    double wanted = (double)sum->count * per_mille / 1000;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        uint64_t end_ns = latency_bucket_end_ns(i);

        if ((double)(below + sum->counts[i]) >= wanted && sum->counts[i] > 0) {
            double part = (wanted - (double)below) / (double)sum->counts[i];

            return end_ns == UINT64_MAX
                       ? start_ns
                       : start_ns + (uint64_t)(part * (double)(end_ns - start_ns));
        }
        below += sum->counts[i];
        start_ns = end_ns;
    }
    return start_ns;
}

const char *latency_word(enum latency_source source)
{
    static const char *const words[LATENCY_SOURCE_COUNT] = {
#define S(name, word, sample, says) word,
        LATENCY_SOURCES(S)
#undef S
    };
    return words[source];
}

unsigned latency_sample(enum latency_source source)
{
    static const unsigned samples[LATENCY_SOURCE_COUNT] = {
#define S(name, word, sample, says) sample,
        LATENCY_SOURCES(S)
#undef S
    };
    return samples[source];
}
