/* unit-idle.c - core/idle.h: ages by the clock, in simulated time
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "idle.h"

#include <stdio.h>

#include "policy.h"

#define SLOTS 4096
#define VISITS 8192 /* per call, as the writeback thread has it */
#define MINUTE_MS 60000u

static struct policy policy;
static struct idle idle;
static uint64_t now;

static void setup(void)
{
    policy_open(&policy, SLOTS);
    now = 5000;
}

static void teardown(void)
{
    policy_close(&policy);
}

/* One call, or as many as there is work; pages that were found idle, of which from FIRST. */
static unsigned go_on(slot_t first, slot_t end, unsigned *of_these)
{
    unsigned found = 0, here;
    enum idle_result result;

    if (of_these)
        *of_these = 0;
    do {
        struct segment *segment = policy_segment(&policy);

        result = idle_fill(&idle, segment, VISITS, now);
        found += policy_take(segment, first, end, &here);
        if (of_these)
            *of_these += here;
    } while (result != IDLE_REST || policy.segments.aside_count > 0);
    return found;
}

START_TEST(without_an_idle_age_nothing_ages)
{
    struct slot_age age;

    idle_init(&idle, &policy.parts, 0, now);
    policy_put(&policy, 1, false);
    for (unsigned i = 0; i < 100; i++) {
        now += MINUTE_MS;
        ck_assert_uint_eq(go_on(0, SLOTS, NULL), 0);
    }
    slot_look(&policy.parts.slots, 1, &age);
    ck_assert_uint_eq(age.units, 0);
}
END_TEST

/* Seconds after the last access at which a page is found idle. */
static uint64_t idle_after_ms(uint32_t seconds, uint64_t tick_ms)
{
    idle_init(&idle, &policy.parts, seconds, now);
    policy_put(&policy, 7, false);
    uint64_t start = now;

    while (go_on(0, SLOTS, NULL) == 0) {
        now += tick_ms;
        ck_assert_uint_lt(now, start + 10000 * seconds);
    }
    return now - start;
}

START_TEST(page_goes_at_its_idle_age)
{
    /* As long as the tick is short against the age, within a unit of it. */
    for (uint32_t seconds = 10; seconds <= 3600; seconds *= 6) {
        uint64_t ms = idle_after_ms(seconds, 50);

        ck_assert_uint_ge(ms, seconds * 1000);
        ck_assert_msg(ms <= seconds * 1000 * 9 / 8, "idle-age=%u: after %lu ms",
                      seconds, (unsigned long)ms);
    }
}
END_TEST

START_TEST(access_starts_the_age_anew)
{
    idle_init(&idle, &policy.parts, 60, now);
    policy_put(&policy, 7, false);
    policy_put(&policy, 8, false);
    for (unsigned i = 0; i < 1000; i++) {
        now += 1000;
        if (i % 30 == 0)
            policy_access(&policy, 7);
        unsigned seven, found = go_on(7, 8, &seven);
        ck_assert_uint_eq(seven, 0);
        ck_assert(i < 59 || i > 70 || found <= 1);
    }
    now += 70 * 1000;
    for (unsigned i = 0; i < 40; i++) {
        now += 4000;
        unsigned seven;
        go_on(7, 8, &seven);
        if (seven)
            return;
    }
    ck_abort_msg("it never went");
}
END_TEST

START_TEST(more_idle_pages_than_a_segment_takes_all_go)
{
    idle_init(&idle, &policy.parts, 16, now);
    for (slot_t slot = 0; slot < 3000; slot++)
        policy_put(&policy, slot, slot % 8 == 0);
    unsigned found = 0;
    for (unsigned i = 0; i < 20 && found == 0; i++) {
        now += 1000;
        found = go_on(0, SLOTS, NULL);
    }
    ck_assert_uint_eq(found, 3000);
}
END_TEST

START_TEST(pages_that_found_no_segment_go_the_next_time)
{
    idle_init(&idle, &policy.parts, 16, now);
    policy_put(&policy, 1, false);
    for (unsigned i = 0; i < 40; i++) {
        now += 1000;
        while (idle_fill(&idle, NULL, VISITS, now) == IDLE_MORE)
            ;
    }
    now += 1000;
    ck_assert_uint_eq(go_on(0, SLOTS, NULL), 1);
}
END_TEST

/* -- auto: HOT pages are used every minute; WARM ones every PERIOD minutes, in turn. -- */

#define HOT 1000
#define WARM 2000

static unsigned minutes_run;

static void run_minutes(unsigned minutes, unsigned period)
{
    for (unsigned i = 0; i < minutes; i++, minutes_run++) {
        for (slot_t slot = 0; slot < HOT; slot++)
            policy_access(&policy, slot);
        for (slot_t slot = 0; slot < WARM; slot++)
            if (slot % period == minutes_run % period)
                policy_access(&policy, HOT + slot);
        now += MINUTE_MS;
        go_on(0, SLOTS, NULL);
    }
}

START_TEST(auto_settles_after_a_step_of_the_load)
{
    idle_init(&idle, &policy.parts, IDLE_AUTO, now);
    for (slot_t slot = 0; slot < HOT + WARM; slot++)
        policy_put(&policy, slot, false);

    run_minutes(60, 5);
    unsigned first = idle.units;
    ck_assert_msg(first > 5 && first <= 8, "every 5 minutes: idle age %u", first);
    run_minutes(20, 5);
    ck_assert_uint_eq(idle.units, first);

    /* Wanted less often: it rises at once, and stays. */
    run_minutes(40, 15);
    unsigned second = idle.units;
    ck_assert_msg(second > 15 && second <= 18, "every 15 minutes: idle age %u", second);
    run_minutes(30, 15);
    ck_assert_uint_eq(idle.units, second);

    /* And back: it falls by one a minute. */
    run_minutes(30, 5);
    ck_assert_uint_eq(idle.units, first);
    printf("auto: %u, %u after a step, %u after a step back\n", first, second,
           idle.units);
}
END_TEST

START_TEST(auto_writes_back_what_is_wanted_no_more)
{
    unsigned warm;

    idle_init(&idle, &policy.parts, IDLE_AUTO, now);
    for (slot_t slot = 0; slot < HOT + WARM; slot++)
        policy_put(&policy, slot, false);
    unsigned total = 0;
    for (unsigned i = 0; i < 40; i++) {
        for (slot_t slot = 0; slot < HOT; slot++)
            policy_access(&policy, slot);
        now += MINUTE_MS;
        unsigned found = go_on(HOT, HOT + WARM, &warm);
        ck_assert_uint_eq(found, warm);
        total += found;
    }
    ck_assert_uint_ge(total, WARM);
}
END_TEST

/* -- What it costs. -- */

static void one_call(void)
{
    now += MINUTE_MS;
    idle_fill(&idle, NULL, VISITS, now);
}

static void begin(void)
{
    idle_init(&idle, &policy.parts, IDLE_AUTO, now);
}

START_TEST(call_is_bounded_at_4_tib)
{
    policy_check_cost_at_4_tib(&policy, 20 * VISITS, begin, one_call);
}
END_TEST

HARNESS_MAIN_WITH("unit-idle", setup, teardown, without_an_idle_age_nothing_ages,
                  page_goes_at_its_idle_age, access_starts_the_age_anew,
                  more_idle_pages_than_a_segment_takes_all_go,
                  pages_that_found_no_segment_go_the_next_time,
                  auto_settles_after_a_step_of_the_load,
                  auto_writes_back_what_is_wanted_no_more, call_is_bounded_at_4_tib)
