/* unit-latency.c - buckets and quantiles
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "context.h"

#include "harness.h"

START_TEST(each_bucket_ends_where_the_next_begins)
{
    uint64_t end = 0;

    for (unsigned i = 0; i + 1 < LATENCY_BUCKETS; i++) {
        ck_assert_uint_gt(latency_bucket_end_ns(i), end);
        end = latency_bucket_end_ns(i);
        ck_assert_uint_eq(latency_bucket(end - 1), i);
        ck_assert_uint_eq(latency_bucket(end), i + 1);
    }
    ck_assert_uint_eq(latency_bucket(0), 0);
    ck_assert_uint_eq(latency_bucket(UINT64_MAX), LATENCY_BUCKETS - 1);
    ck_assert_uint_eq(end, UINT64_C(1) << (LATENCY_OCTAVE_MIN + LATENCY_OCTAVES));
}
END_TEST

START_TEST(a_quantile_is_within_a_fifth_of_the_truth)
{
    struct latency_sum sum = {0};

    for (uint64_t ns = 1; ns <= 1000000; ns += 7) {
        sum.counts[latency_bucket(ns)]++;
        sum.count++;
    }
    for (unsigned per_mille = 100; per_mille <= 1000; per_mille += 50) {
        double truth = 1000.0 * per_mille;
        double is = (double)latency_quantile_ns(&sum, per_mille);

        ck_assert_msg(is > 0.8 * truth && is < 1.2 * truth, "%u: %f", per_mille, is);
    }
}
END_TEST

START_TEST(there_is_none_of_nothing)
{
    struct latency_sum sum = {0};

    ck_assert_uint_eq(latency_quantile_ns(&sum, 500), 0);
    sum.counts[LATENCY_BUCKETS - 1] = sum.count = 1; /* longer than any bucket */
    ck_assert_uint_eq(latency_quantile_ns(&sum, 500),
                      latency_bucket_end_ns(LATENCY_BUCKETS - 2));
}
END_TEST

START_TEST(one_of_so_many_reads_in_ram_is_timed_and_each_fetch)
{
    struct context context = {0};
    unsigned timed = 0;

    for (unsigned i = 0; i < 10 * LATENCY_SAMPLE; i++)
        timed += context_times_read(&context);
    ck_assert_uint_eq(timed, 10);
    ck_assert_uint_eq(latency_sample(LATENCY_RAM), LATENCY_SAMPLE);
    ck_assert_uint_eq(latency_sample(LATENCY_BACKING), 1);
    ck_assert_str_eq(latency_word(LATENCY_IN_FLIGHT), "in_flight");
}
END_TEST

START_TEST(without_the_clock_no_read_is_timed)
{
    struct context context = {0};
    struct context_set set = {.count = 1, .contexts = &context};

    context_set_time_reads(&set, false);
    ck_assert(set.untimed);
    for (unsigned i = 0; i < 10 * LATENCY_SAMPLE; i++)
        ck_assert(!context_times_read(&context));
    context_set_time_reads(&set, true);
    ck_assert(!set.untimed);
    ck_assert(context_times_read(&context));
}
END_TEST

HARNESS_MAIN("unit-latency", each_bucket_ends_where_the_next_begins,
             a_quantile_is_within_a_fifth_of_the_truth, there_is_none_of_nothing,
             one_of_so_many_reads_in_ram_is_timed_and_each_fetch,
             without_the_clock_no_read_is_timed)
