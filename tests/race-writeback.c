/* race-writeback.c - a page that is written back, and what may come in the middle
 *
 * All of race-writeback*.c is one table.  Each of
 *
 *   write; write back and forth; trim; zero; partial write; read; second eviction, of
 *   other content; compaction; reuse of the place in the pool; shutdown
 *
 * comes in the middle of each of
 *
 *   a writeback of the page: copied, in flight, landed, failed      race-writeback.c
 *   a fetch of it: in flight, landed, failed                        ...-fetch.c
 *   a cleaner that reads its segment, or is refused that; its copy  ...-clean.c
 *   of the page: copied, in flight, landed, failed
 *
 * with both in the case's name.  Macros make whole rows, and the lists at the ends of
 * the files have them, so that a missing cell does not compile.  (Shutdown is in
 * -close.c, for all columns.)  Beyond that the cleaner comes in the middle of a fetch,
 * some in that of a promotion, and some when a writeback has switched the slot already.
 * What the stages are is in stages.h.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>

#include "stages.h"

static void setup(void)
{
    stage_setup(16 * MIB);
}

static void copied(actor_fn *second)
{
    stage_at_segment(GATE_SEGMENT_COPIED, stage_write_back, second, false);
}

static void in_flight(actor_fn *second)
{
    stage_in_flight(0, stage_write_back, second);
}

static void landed(actor_fn *second)
{
    stage_at_segment(GATE_SEGMENT_LANDED, stage_write_back, second, false);
}

static void switched(actor_fn *second)
{
    stage_at_segment(GATE_SEGMENT_SWITCHED, stage_write_back, second, false);
}

static void failed(actor_fn *second)
{
    stage_in_flight(-EIO, stage_write_back, second);
    ck_assert_uint_eq(stage_stat(STAT_failed_writebacks), 1);
}

#define DURING_WRITEBACK(second_name, stage, second, expect)                           \
    START_TEST(second_name##_while_the_writeback_is_##stage)                           \
    {                                                                                  \
        stage(second);                                                                 \
        expect();                                                                      \
    }                                                                                  \
    END_TEST

#define DURING_ANY_WRITEBACK(second_name, second, expect)                              \
    DURING_WRITEBACK(second_name, copied, second, expect)                              \
    DURING_WRITEBACK(second_name, in_flight, second, expect)                           \
    DURING_WRITEBACK(second_name, landed, second, expect)                              \
    DURING_WRITEBACK(second_name, failed, second, expect)

DURING_ANY_WRITEBACK(write, race_write_a, race_expect_a)
DURING_ANY_WRITEBACK(write_back_and_forth, race_write_back_and_forth,
                     race_expect_nothing_new)
DURING_ANY_WRITEBACK(trim, race_trim, race_expect_zeroes)
DURING_ANY_WRITEBACK(zero, race_zero, race_expect_zeroes)
DURING_ANY_WRITEBACK(partial_write, race_write_other_part, race_expect_other_part)
DURING_ANY_WRITEBACK(read, race_read_old, race_expect_nothing_new)
DURING_ANY_WRITEBACK(place_reuse, race_take_the_place, race_expect_zeroes)
DURING_ANY_WRITEBACK(compaction, stage_make_holes_and_compact, race_expect_nothing_new)

DURING_WRITEBACK(write, switched, race_write_a, race_expect_a)
DURING_WRITEBACK(trim, switched, race_trim, race_expect_zeroes)
DURING_WRITEBACK(zero, switched, race_zero, race_expect_zeroes)
DURING_WRITEBACK(compaction, switched, stage_make_holes_and_compact,
                 race_expect_nothing_new)

/* Before its slot is switched a page is in the pool: who was there keeps it there
 * (rule S4). */
static void expect_kept(bool is_kept)
{
    unsigned reads = faulty_count(stage_faulty, BACKING_READ);

    race_read_old(NULL);
    ck_assert_uint_eq(faulty_count(stage_faulty, BACKING_READ), reads + !is_kept);
}

/* A page that was read while its copy was under way stays in RAM; nobody needs that
 * copy. */
START_TEST(read_during_writeback_keeps_the_page_in_ram)
{
    in_flight(race_read_old);
    expect_kept(true);
    ck_assert_uint_eq(stage_stat(STAT_bd_count), RACE_OTHERS - 1);
    stage_write_back(NULL);
    ck_assert_uint_eq(stage_stat(STAT_bd_count), RACE_OTHERS);
    expect_kept(false);
}
END_TEST

/* The segment's only page is gone before it lands: the segment is discarded. */
START_TEST(trim_during_writeback_of_the_last_page_releases_the_segment)
{
    ck_assert_int_eq(volume_trim(race_volume, 0, RACE_SIZE), 0);
    model_zero(&race_model, 0, RACE_SIZE);
    race_write_a(NULL);
    in_flight(race_trim);
    faulty_wait_done(stage_faulty, BACKING_DISCARD, 1);
    ck_assert_uint_eq(stage_stat(STAT_bd_used_size), 0);
}
END_TEST

/* The slot is switched, so a read needs the writeback thread, which is held up. */
START_TEST(read_while_the_writeback_is_switched)
{
    stage_at_segment(GATE_SEGMENT_SWITCHED, stage_write_back, race_read_old, true);
    ck_assert_uint_eq(faulty_count(stage_faulty, BACKING_READ), 1);
}
END_TEST

START_TEST(partial_write_while_the_writeback_is_switched)
{
    stage_at_segment(GATE_SEGMENT_SWITCHED, stage_write_back, race_write_other_part,
                     true);
    race_expect_other_part();
    ck_assert_uint_eq(faulty_count(stage_faulty, BACKING_READ), 1);
}
END_TEST

/* -- Two copies of two versions of a page. -- */

static void evict_twice(int first_result)
{
    faulty_hold(stage_faulty, BACKING_WRITE);
    struct actor *first = actor_start(stage_write_back, NULL);
    faulty_wait_held(stage_faulty, BACKING_WRITE, 1);
    race_write_a(NULL);
    race_expect_a();
    struct actor *second = actor_start(stage_write_back, NULL);
    faulty_wait_held(stage_faulty, BACKING_WRITE, 2);
    faulty_release(stage_faulty, BACKING_WRITE, first_result);
    actor_go(first);
    actor_go(second);
}

START_TEST(second_eviction_while_the_writeback_is_in_flight)
{
    evict_twice(0);
    ck_assert_uint_eq(stage_stat(STAT_bd_count), RACE_OTHERS);
    ck_assert_uint_eq(stage_stat(STAT_bd_writes), RACE_OTHERS);
}
END_TEST

START_TEST(second_eviction_while_the_writeback_is_failed)
{
    evict_twice(-EIO);
    ck_assert_uint_eq(stage_stat(STAT_bd_count), 0);
    ck_assert_uint_eq(stage_stat(STAT_bd_live_size), 0);
    stage_write_back(NULL);
    ck_assert_uint_eq(stage_stat(STAT_bd_count), RACE_OTHERS);
}
END_TEST

static void second_eviction_at(enum gate point)
{
    halt_at(point, HALT_ANY_SLOT);
    struct actor *first = actor_start(stage_write_back, NULL);
    halt_wait();
    race_write_a(NULL);
    race_expect_a();
    struct actor *second = actor_start(stage_write_back, NULL);
    halt_go();
    actor_go(first);
    actor_go(second);
    ck_assert_uint_eq(stage_stat(STAT_bd_count), RACE_OTHERS);
}

START_TEST(second_eviction_while_the_writeback_is_copied)
{
    second_eviction_at(GATE_SEGMENT_COPIED);
}
END_TEST

START_TEST(second_eviction_while_the_writeback_is_landed)
{
    second_eviction_at(GATE_SEGMENT_LANDED);
}
END_TEST

#define ANY(name)                                                                      \
    name##_while_the_writeback_is_copied, name##_while_the_writeback_is_in_flight,     \
        name##_while_the_writeback_is_landed, name##_while_the_writeback_is_failed

HARNESS_MAIN_WITH("race-writeback", setup, stage_teardown, ANY(write),
                  ANY(write_back_and_forth), ANY(trim), ANY(zero), ANY(partial_write),
                  ANY(read), ANY(second_eviction), ANY(compaction), ANY(place_reuse),
                  write_while_the_writeback_is_switched,
                  trim_while_the_writeback_is_switched,
                  zero_while_the_writeback_is_switched,
                  read_while_the_writeback_is_switched,
                  partial_write_while_the_writeback_is_switched,
                  compaction_while_the_writeback_is_switched,
                  read_during_writeback_keeps_the_page_in_ram,
                  trim_during_writeback_of_the_last_page_releases_the_segment)
