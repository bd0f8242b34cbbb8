/* race-writeback-clean.c - a page that is cleaned, and what may come in the middle
 *
 * The table of it all is in race-writeback.c.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>

#include "stages.h"

/* -- The cleaner first. -- */

typedef void stage_fn(actor_fn *second, bool waits);

static void reads(actor_fn *second, bool waits)
{
    (void)waits; /* nobody waits for the cleaner's read */
    stage_cleaner_reads(0, second);
}

static void is_refused_its_read(actor_fn *second, bool waits)
{
    (void)waits;
    stage_cleaner_reads(-EIO, second);
}

static void has_copied(actor_fn *second, bool waits)
{
    stage_at_segment(GATE_SEGMENT_COPIED, stage_clean, second, waits);
}

static void is_in_flight(actor_fn *second, bool waits)
{
    (void)waits;
    stage_in_flight(0, stage_clean, second);
}

static void has_landed(actor_fn *second, bool waits)
{
    stage_at_segment(GATE_SEGMENT_LANDED, stage_clean, second, waits);
}

static void fails(actor_fn *second, bool waits)
{
    unsigned writes = faulty_count(stage_faulty, BACKING_WRITE);

    (void)waits;
    stage_in_flight(-EIO, stage_clean, second);
    faulty_wait_done(stage_faulty, BACKING_WRITE, writes + 1);
    ck_assert_uint_ge(stage_stat(STAT_failed_writebacks), 1);
}

#define DURING_CLEANING(second_name, stage, second, waits, expect)                     \
    START_TEST(second_name##_while_the_cleaner_##stage)                                \
    {                                                                                  \
        stage(second, waits);                                                          \
        expect();                                                                      \
        ck_assert_uint_eq(stage_stat(STAT_failed_reads), 0);                           \
        ck_assert_uint_eq(stage_stat(STAT_failed_writes), 0);                          \
    }                                                                                  \
    END_TEST

#define DURING_ANY_CLEANING(second_name, second, waits, expect)                        \
    DURING_CLEANING(second_name, reads, second, waits, expect)                         \
    DURING_CLEANING(second_name, is_refused_its_read, second, waits, expect)           \
    DURING_CLEANING(second_name, has_copied, second, waits, expect)                    \
    DURING_CLEANING(second_name, is_in_flight, second, waits, expect)                  \
    DURING_CLEANING(second_name, has_landed, second, waits, expect)                    \
    DURING_CLEANING(second_name, fails, second, waits, expect)

DURING_ANY_CLEANING(write, race_write_a, false, race_expect_a)
DURING_ANY_CLEANING(write_back_and_forth, race_write_back_and_forth, false,
                    race_expect_nothing_new)
DURING_ANY_CLEANING(trim, race_trim, false, race_expect_zeroes)
DURING_ANY_CLEANING(zero, race_zero, false, race_expect_zeroes)
DURING_ANY_CLEANING(partial_write, race_write_other_part, true, race_expect_other_part)
DURING_ANY_CLEANING(read, race_read_old, true, race_expect_nothing_new)
DURING_ANY_CLEANING(compaction, race_compact, false, race_expect_nothing_new)
DURING_ANY_CLEANING(place_reuse, race_take_the_place, false, race_expect_zeroes)

static void expect_a_stored(void)
{
    race_expect_a();
    ck_assert_uint_eq(stage_stat(STAT_orig_data_size) / PAGE,
                      stage_stat(STAT_bd_count));
}

/* The page leaves for the backing store a second time, now with other content. */
DURING_CLEANING(second_eviction, reads, stage_write_a_and_back, false, expect_a_stored)
DURING_CLEANING(second_eviction, is_refused_its_read, stage_write_a_and_back, false,
                expect_a_stored)

/* Or it does so as soon as the writeback thread and the cleaner's segment let it. */
static struct actor *evictor;

static void write_a_and_begin_to_evict(void *opaque)
{
    race_write_a(opaque);
    evictor = actor_start(stage_write_back, NULL);
}

static void expect_a_stored_in_the_end(void)
{
    actor_go(evictor);
    expect_a_stored();
}

static void expect_a_after_a_failure(void)
{
    actor_go(evictor);
    race_expect_a();
}

DURING_CLEANING(second_eviction, has_copied, write_a_and_begin_to_evict, false,
                expect_a_stored_in_the_end)
DURING_CLEANING(second_eviction, has_landed, write_a_and_begin_to_evict, false,
                expect_a_stored_in_the_end)

/* Both segments are in flight. */
static void write_a_and_evict_until_held(void *opaque)
{
    write_a_and_begin_to_evict(opaque);
    faulty_wait_held(stage_faulty, BACKING_WRITE, 2);
}

DURING_CLEANING(second_eviction, is_in_flight, write_a_and_evict_until_held, false,
                expect_a_stored_in_the_end)
DURING_CLEANING(second_eviction, fails, write_a_and_evict_until_held, false,
                expect_a_after_a_failure)

/* -- The cleaner second: the page moves while it is fetched. -- */

static void expect_moved(void)
{
    ck_assert_uint_eq(stage_stat(STAT_blocks_cleaned), STAGE_VICTIMS);
    ck_assert_uint_eq(stage_stat(STAT_failed_reads), 0);
}

START_TEST(cleaner_while_a_fetch_is_in_flight)
{
    stage_fetch_in_flight(0, race_read_old, stage_clean_to_the_end, false);
    expect_moved();
    /* By the cleaner its own, and the page once more from where it is now. */
    ck_assert_uint_eq(faulty_count(stage_faulty, BACKING_READ), STAGE_VICTIMS + 2);
}
END_TEST

/* The copy that could not be read is not the page's any more. */
START_TEST(cleaner_while_a_fetch_fails)
{
    stage_fetch_in_flight(-EIO, race_read_old, stage_clean_to_the_end, false);
    expect_moved();
    ck_assert_uint_eq(faulty_count(stage_faulty, BACKING_READ), STAGE_VICTIMS + 2);
}
END_TEST

static void let_the_cleaner_s_copy_land(void *opaque)
{
    (void)opaque;
    faulty_release(stage_faulty, BACKING_WRITE, 0);
}

START_TEST(cleaner_while_a_fetch_has_landed)
{
    faulty_hold(stage_faulty, BACKING_WRITE);
    struct actor *cleaner = actor_start(stage_clean, NULL);
    faulty_wait_held(stage_faulty, BACKING_WRITE, 1);
    stage_fetch_landed(race_read_old, let_the_cleaner_s_copy_land, false);
    actor_go(cleaner);
    expect_moved();
}
END_TEST

/* The object that was to go back to RAM is of a ticket that is stale. */
START_TEST(cleaner_during_promotion_leaves_the_page_stored)
{
    race_read_old(NULL); /* makes it warm */
    struct actor *reader = actor_stop(GATE_PROMOTE_BUILT, race_read_old, NULL);
    stage_clean_to_the_end(NULL);
    actor_go(reader);
    expect_moved();
    ck_assert_uint_eq(stage_stat(STAT_promotions), 0);
    ck_assert_uint_eq(stage_stat(STAT_compr_data_size), 0);
    race_read_old(NULL);
    ck_assert_uint_eq(stage_stat(STAT_promotions), 1);
}
END_TEST

#define ANY(name)                                                                      \
    name##_while_the_cleaner_reads, name##_while_the_cleaner_is_refused_its_read,      \
        name##_while_the_cleaner_has_copied, name##_while_the_cleaner_is_in_flight,    \
        name##_while_the_cleaner_has_landed, name##_while_the_cleaner_fails

HARNESS_MAIN_WITH("race-writeback-clean", stage_setup_cleaner, stage_teardown,
                  ANY(write), ANY(write_back_and_forth), ANY(trim), ANY(zero),
                  ANY(partial_write), ANY(read), ANY(second_eviction), ANY(compaction),
                  ANY(place_reuse), cleaner_while_a_fetch_is_in_flight,
                  cleaner_while_a_fetch_has_landed, cleaner_while_a_fetch_fails,
                  cleaner_during_promotion_leaves_the_page_stored)
