/* unit-budget.c - core/budget.h: no day is over the limit, wherever it begins
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "budget.h"

#include "harness.h"

#define LIMIT (64 * MIB)
#define HOUR_MS (BUDGET_DAY_MS / 24)

static struct budget budget;

static void setup(void)
{
    budget_init(&budget, LIMIT, 1000);
}

static void teardown(void)
{
}

START_TEST(no_limit_is_no_limit)
{
    budget_init(&budget, UINT64_MAX, 0);
    for (unsigned i = 0; i < 100; i++)
        ck_assert(budget_charge(&budget, UINT64_MAX / 2, 0));
    budget_refund(&budget, UINT64_MAX / 2);
    ck_assert(budget_charge(&budget, UINT64_MAX, 0));
}
END_TEST

START_TEST(charge_that_does_not_fit_takes_nothing)
{
    ck_assert(!budget_charge(&budget, LIMIT / 8 + 1, 1000));
    ck_assert(budget_charge(&budget, LIMIT / 8, 1000));
    ck_assert(!budget_charge(&budget, 1, 1000));
}
END_TEST

START_TEST(refund_gives_back_what_was_charged_and_no_more)
{
    ck_assert(budget_charge(&budget, LIMIT / 8, 1000));
    budget_refund(&budget, MIB);
    ck_assert(budget_charge(&budget, MIB, 1000));
    ck_assert(!budget_charge(&budget, 1, 1000));
    /* The bucket is full again by then; a refund does not make it overflow. */
    ck_assert(budget_charge(&budget, 1, 1000 + BUDGET_DAY_MS));
    budget_refund(&budget, LIMIT);
    ck_assert(!budget_charge(&budget, LIMIT / 8 + 1, 1000 + BUDGET_DAY_MS));
    ck_assert(budget_charge(&budget, LIMIT / 8, 1000 + BUDGET_DAY_MS));
}
END_TEST

START_TEST(time_that_goes_back_gives_nothing)
{
    ck_assert(budget_charge(&budget, LIMIT / 8, 1000));
    ck_assert(!budget_charge(&budget, 1, 0));
    ck_assert(!budget_charge(&budget, 1, 1000));
    ck_assert(budget_charge(&budget, 1, 2000));
}
END_TEST

/* What was spent when; a window of a day is slid over it. */
#define SPENDS 200000
static struct {
    uint64_t at_ms, bytes;
} spent[SPENDS];

static void check_windows(unsigned count, uint64_t limit)
{
    uint64_t sum = 0;

    for (unsigned first = 0, last = 0; last < count; last++) {
        sum += spent[last].bytes;
        while (spent[last].at_ms - spent[first].at_ms >= BUDGET_DAY_MS)
            sum -= spent[first++].bytes;
        ck_assert_msg(sum <= limit, "%lu of %lu bytes in a day", (unsigned long)sum,
                      (unsigned long)limit);
    }
}

/* Whatever the times and sizes of what is wanted, for two weeks. */
static void spend(uint64_t limit, uint64_t step_ms, uint64_t bytes_max, uint64_t seed,
                  uint64_t least)
{
    uint64_t now = 12345, total = 0;
    unsigned count = 0;

    budget_init(&budget, limit, now);
    while (now < 14 * BUDGET_DAY_MS && count < SPENDS) {
        uint64_t bytes = harness_random(&seed) % bytes_max + 1;

        if (budget_charge(&budget, bytes, now)) {
            if (harness_random(&seed) % 8 ==
                0) /* this one failed, at some later time */
                budget_refund(&budget, bytes);
            else {
                spent[count].at_ms = now;
                spent[count++].bytes = bytes;
                total += bytes;
            }
        } else
            now += harness_random(&seed) % step_ms + 1;
        if (harness_random(&seed) % 20000 == 0) /* and sometimes nobody wants any */
            now += BUDGET_DAY_MS;
    }
    check_windows(count, limit);
    ck_assert_uint_ge(total / (now / BUDGET_DAY_MS), least);
}

START_TEST(no_window_of_a_day_is_over_the_limit)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        spend(LIMIT, 10 * 60 * 1000, 256 * 1024, seed, LIMIT / 2);
        spend(LIMIT, HOUR_MS, 256 * 1024, seed, LIMIT / 2);
        spend(4 * MIB, 60 * 1000, 40000, seed, 2 * MIB);
    }
}
END_TEST

/* Greed that is asked for at every millisecond is where rounding would show. */
START_TEST(rounding_is_never_in_favour_of_who_spends)
{
    spend(1000003, 1, 7, 1, 0);
    spend(7, 1000, 1, 1, 0);
}
END_TEST

START_TEST(limit_is_nearly_used_up_by_who_always_wants_more)
{
    uint64_t total = 0;

    for (uint64_t now = 1000; now < 1000 + 10 * BUDGET_DAY_MS; now += 1000)
        while (budget_charge(&budget, 4096, now))
            total += 4096;
    ck_assert_uint_ge(total, 8 * LIMIT);
    ck_assert_uint_le(total, 10 * LIMIT);
}
END_TEST

START_TEST(largest_limits_do_not_overflow)
{
    budget_init(&budget, UINT64_MAX - 1, 0);
    ck_assert(budget_charge(&budget, UINT64_MAX / 8, BUDGET_DAY_MS - 1));
    ck_assert(budget_charge(&budget, UINT64_MAX / 16, 2 * BUDGET_DAY_MS));
    budget_refund(&budget, UINT64_MAX / 16);
    ck_assert(!budget_charge(&budget, UINT64_MAX / 4, 3 * BUDGET_DAY_MS));
}
END_TEST

HARNESS_MAIN_WITH("unit-budget", setup, teardown, no_limit_is_no_limit,
                  charge_that_does_not_fit_takes_nothing,
                  refund_gives_back_what_was_charged_and_no_more,
                  time_that_goes_back_gives_nothing,
                  no_window_of_a_day_is_over_the_limit,
                  rounding_is_never_in_favour_of_who_spends,
                  limit_is_nearly_used_up_by_who_always_wants_more,
                  largest_limits_do_not_overflow)
