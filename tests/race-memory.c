/* race-memory.c - who waits for memory keeps nobody from his page (rule S10)
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lock.h"
#include "race.h"
#include "sample.h"

static void race_fresh_span(void *opaque)
{
    unsigned char page[PAGE];

    /* Of a class that has no span yet: RAM must be had for it. */
    (void)opaque;
    sample_sized(1700, 9, page);
    ck_assert_int_eq(volume_write(race_volume, RACE_AT, PAGE, page), 0);
}

static void expect_fresh_span(void)
{
    unsigned char page[PAGE];

    sample_sized(1700, 9, page);
    race_expect(page);
}

static void race_fresh_part(void *opaque)
{
    unsigned char zeroes[PAGE] = {0};

    (void)opaque;
    ck_assert_int_eq(volume_write(race_volume, RACE_AT + 700, PAGE - 700, zeroes), 0);
}

START_TEST(read_of_a_page_whose_writer_waits_for_memory_does_not_wait)
{
    actor_race(GATE_MEMORY_CHARGE, race_fresh_span, race_read_old, NULL);
    expect_fresh_span();
}
END_TEST

START_TEST(read_of_a_page_whose_writer_waits_for_a_place_does_not_wait)
{
    actor_race(GATE_POOL_ALLOC, race_write_a, race_read_old, NULL);
    race_expect(race_a);
}
END_TEST

START_TEST(read_of_a_page_whose_partial_writer_waits_for_memory_does_not_wait)
{
    actor_race(GATE_MEMORY_CHARGE, race_fresh_part, race_read_old, NULL);
    model_zero(&race_model, RACE_AT + 700, PAGE - 700);
}
END_TEST

START_TEST(read_of_a_page_whose_partial_writer_waits_for_a_place_does_not_wait)
{
    actor_race(GATE_POOL_ALLOC, race_write_part, race_read_old, NULL);
    race_expect_part();
}
END_TEST

START_TEST(write_of_a_page_whose_writer_waits_for_memory_does_not_wait)
{
    actor_race(GATE_MEMORY_CHARGE, race_fresh_span, race_write_b, NULL);
    expect_fresh_span();
}
END_TEST

START_TEST(trim_of_a_page_whose_writer_waits_for_memory_does_not_wait)
{
    actor_race(GATE_MEMORY_CHARGE, race_fresh_span, race_trim, NULL);
    expect_fresh_span();
}
END_TEST

static void use_all_pages(void *opaque)
{
    (void)opaque;
    model_compare_all(&race_model, race_volume);
    for (uint64_t at = 0; at < 40 * PAGE; at += 3 * PAGE)
        model_write_both(&race_model, race_volume, at, PAGE, race_b);
    model_trim_both(&race_model, race_volume, 0, 5 * PAGE);
}

START_TEST(requests_do_not_wait_for_a_compaction_that_waits_for_a_place)
{
    race_make_holes();
    actor_race(GATE_POOL_ALLOC, race_compact, use_all_pages, NULL);
}
END_TEST

#ifdef ZSLOT_DEBUG
static int no_slot_is_locked(enum gate point, uint64_t slot, void *opaque)
{
    (void)point;
    (void)slot;
    ck_assert(!lock_slot_is_held());
    ++*(_Atomic unsigned long *)opaque;
    return 0;
}

START_TEST(no_slot_is_locked_at_any_gate)
{
    struct volume *volume = harness_open_limited("4M", "lz4", MIB);
    static _Atomic unsigned long arrivals;
    unsigned long ops = harness_ops(20000);
    unsigned char page[PAGE];
    uint64_t random = 8;

    gate_set_hook(no_slot_is_locked, &arrivals);
    for (unsigned long i = 0; i < ops; i++) {
        uint64_t at =
            harness_random(&random) % 1023 * PAGE + harness_random(&random) % 3;
        uint32_t bytes = harness_random(&random) % 2 ? PAGE : 100;

        sample_page((enum sample)(i % SAMPLE_COUNT), i, page);
        int r = volume_write(volume, at, bytes, page);
        ck_assert(r == 0 || r == -ENOSPC);
        if (i % 10 == 0)
            ck_assert_int_eq(volume_trim(volume, at, 5 * PAGE % (4 * MIB - at)), 0);
        if (i % 10 == 1)
            (void)volume_zero(volume, at, 50);
        ck_assert_int_eq(volume_read(volume, at, bytes, page), 0);
    }
    volume_compact(volume, NULL);
    gate_set_hook(NULL, NULL);
    ck_assert_uint_gt(arrivals, ops);
    harness_close(volume);
}
END_TEST
#else
START_TEST(no_slot_is_locked_at_any_gate)
{
    /* Nothing says in this build which locks a thread has. */
}
END_TEST
#endif

HARNESS_MAIN_WITH("race-memory", race_setup, race_teardown,
                  read_of_a_page_whose_writer_waits_for_memory_does_not_wait,
                  read_of_a_page_whose_writer_waits_for_a_place_does_not_wait,
                  read_of_a_page_whose_partial_writer_waits_for_memory_does_not_wait,
                  read_of_a_page_whose_partial_writer_waits_for_a_place_does_not_wait,
                  write_of_a_page_whose_writer_waits_for_memory_does_not_wait,
                  trim_of_a_page_whose_writer_waits_for_memory_does_not_wait,
                  requests_do_not_wait_for_a_compaction_that_waits_for_a_place,
                  no_slot_is_locked_at_any_gate)
