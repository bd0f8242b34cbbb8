/* race-writeback-fetch.c - a page that is fetched, and what may come in the middle
 *
 * The table of it all is in race-writeback.c.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "stages.h"

static void setup(void)
{
    stage_setup(16 * MIB);
    stage_write_back(NULL);
}

static unsigned backing_reads(void)
{
    return faulty_count(stage_faulty, BACKING_READ);
}

/* -- Fetches. -- */

/* READER is the one whose fetch it is, and FAILING the same when that fails. */
#define DURING_FETCH(second_name, reader, second, waits, failing, second_fails,        \
                     expect, expect_failed)                                            \
    START_TEST(second_name##_while_a_fetch_is_in_flight)                               \
    {                                                                                  \
        stage_fetch_in_flight(0, reader, second, waits);                               \
        expect();                                                                      \
        ck_assert_uint_eq(stage_stat(STAT_failed_reads), 0);                           \
    }                                                                                  \
    END_TEST                                                                           \
    START_TEST(second_name##_while_a_fetch_has_landed)                                 \
    {                                                                                  \
        stage_fetch_landed(reader, second, waits);                                     \
        expect();                                                                      \
        ck_assert_uint_eq(stage_stat(STAT_failed_reads), 0);                           \
    }                                                                                  \
    END_TEST                                                                           \
    START_TEST(second_name##_while_a_fetch_fails)                                      \
    {                                                                                  \
        stage_fetch_in_flight(-EIO, failing, second_fails, waits);                     \
        expect_failed();                                                               \
    }                                                                                  \
    END_TEST

/* What failed is a page that is gone: it is nobody's error. */
#define DURING_FETCH_OF_WHAT_GOES(second_name, reader, second, expect)                 \
    static void expect_after_##second_name(void)                                       \
    {                                                                                  \
        expect();                                                                      \
        ck_assert_uint_eq(stage_stat(STAT_failed_reads), 0);                           \
    }                                                                                  \
    DURING_FETCH(second_name, reader, second, false, reader, second, expect,           \
                 expect_after_##second_name)

DURING_FETCH_OF_WHAT_GOES(write, race_read_a, race_write_a, race_expect_a)
DURING_FETCH_OF_WHAT_GOES(write_back_and_forth, race_read_old,
                          race_write_back_and_forth, race_expect_nothing_new)
DURING_FETCH_OF_WHAT_GOES(trim, race_read_zeroes, race_trim, race_expect_zeroes)
DURING_FETCH_OF_WHAT_GOES(zero, race_read_zeroes, race_zero, race_expect_zeroes)
DURING_FETCH_OF_WHAT_GOES(place_reuse, race_read_zeroes, race_take_the_place,
                          race_expect_zeroes)

static void expect_one_failed_read(void)
{
    ck_assert_uint_eq(stage_stat(STAT_failed_reads), 1);
}

DURING_FETCH(compaction, race_read_old, race_compact, false, stage_read_is_eio,
             race_compact, race_expect_nothing_new, expect_one_failed_read)

/* One backing read serves both. */
static void expect_one_backing_read(void)
{
    ck_assert_uint_eq(backing_reads(), 1);
}

static void expect_two_failed_reads(void)
{
    ck_assert_uint_eq(stage_stat(STAT_failed_reads), 2);
    ck_assert_uint_eq(backing_reads(), 1);
}

DURING_FETCH(read, race_read_old, race_read_old, true, stage_read_is_eio,
             stage_read_is_eio, expect_one_backing_read, expect_two_failed_reads)

/* The partial write may come first. */
static void read_with_or_without_the_part(void *opaque)
{
    unsigned char page[PAGE], merged[PAGE];

    (void)opaque;
    memcpy(merged, race_old, PAGE);
    memcpy(merged + RACE_OTHER_AT, race_b + RACE_OTHER_AT, RACE_OTHER_BYTES);
    ck_assert_int_eq(volume_read(race_volume, RACE_AT, PAGE, page), 0);
    ck_assert(memcmp(page, race_old, PAGE) == 0 || memcmp(page, merged, PAGE) == 0);
}

static void partial_write_is_eio(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(volume_write(race_volume, RACE_AT + 1, 1, "x"), -EIO);
}

static void expect_part_by_one_backing_read(void)
{
    race_expect_other_part();
    expect_one_backing_read();
}

static void expect_two_errors(void)
{
    ck_assert_uint_eq(stage_stat(STAT_failed_reads), 1);
    ck_assert_uint_eq(stage_stat(STAT_failed_writes), 1);
}

DURING_FETCH(partial_write, read_with_or_without_the_part, race_write_other_part, true,
             stage_read_is_eio, partial_write_is_eio, expect_part_by_one_backing_read,
             expect_two_errors)

START_TEST(two_partial_writes_while_one_fetch_is_in_flight_lose_nothing)
{
    stage_fetch_in_flight(0, race_write_part, race_write_other_part, true);
    race_expect_part();
    race_expect_other_part();
    ck_assert_uint_eq(backing_reads(), 1);
}
END_TEST

/* The page goes, and comes back to the backing store at another address, while the
 * former one is still being read; the reader gets the new one, by a read of its own. */
START_TEST(second_eviction_while_a_fetch_is_in_flight)
{
    stage_fetch_in_flight(0, race_read_a, stage_write_a_and_back, false);
    race_expect_a();
    ck_assert_uint_eq(backing_reads(), 2);
}
END_TEST

START_TEST(second_eviction_while_a_fetch_fails)
{
    stage_fetch_in_flight(-EIO, race_read_a, stage_write_a_and_back, false);
    race_expect_a();
    ck_assert_uint_eq(stage_stat(STAT_failed_reads), 0);
}
END_TEST

/* The writeback thread is stopped: it evicts as soon as it goes on. */
static struct actor *evictor;

static void write_a_and_begin_to_evict(void *opaque)
{
    race_write_a(opaque);
    evictor = actor_start(stage_write_back, NULL);
}

START_TEST(second_eviction_while_a_fetch_has_landed)
{
    stage_fetch_landed(race_read_a, write_a_and_begin_to_evict, false);
    actor_go(evictor);
    race_expect_a();
    ck_assert_uint_eq(stage_stat(STAT_failed_reads), 0);
}
END_TEST

/* -- Between the look at a slot and the fetch: what the look saw of a stored page is
 * not good any more, and the slot is looked at again, under its lock. -- */

static void before_fetch(actor_fn *reader_fn, actor_fn *second)
{
    struct actor *reader = actor_stop(GATE_READ_COPIED, reader_fn, NULL);

    second(NULL);
    actor_go(reader);
    ck_assert_uint_eq(stage_stat(STAT_failed_reads), 0);
}

START_TEST(write_before_the_fetch_makes_it_needless)
{
    before_fetch(race_read_a, race_write_a);
    race_expect_a();
    ck_assert_uint_eq(backing_reads(), 0);
}
END_TEST

START_TEST(trim_before_the_fetch_makes_it_needless)
{
    before_fetch(race_read_zeroes, race_trim);
    race_expect_zeroes();
    ck_assert_uint_eq(backing_reads(), 0);
}
END_TEST

/* Everything was trimmed, so that the page's segment is the first to be used again, by
 * others and by the page. */
static void use_the_segment_again(void *opaque)
{
    ck_assert_int_eq(volume_trim(race_volume, 0, RACE_SIZE), 0);
    model_zero(&race_model, 0, RACE_SIZE);
    uint64_t used = stage_stat(STAT_bd_used_size);
    race_take_the_place(opaque);
    stage_write_back(opaque);
    stage_write_a_and_back(opaque);
    /* One more block, for there is one page more. */
    ck_assert_uint_eq(stage_stat(STAT_bd_used_size), used + BACKING_ALIGN);
}

START_TEST(reuse_of_the_segment_before_the_fetch_is_seen)
{
    before_fetch(race_read_a, use_the_segment_again);
    race_expect_a();
    ck_assert_uint_eq(backing_reads(), 1);
}
END_TEST

/* -- Several readers. -- */

#define READERS 12

static void many_readers(actor_fn *reader, int result)
{
    struct actor *readers[READERS];

    faulty_hold(stage_faulty, BACKING_READ);
    watch_from(GATE_FETCH_JOINED, RACE_PAGE);
    for (unsigned i = 0; i < READERS; i++)
        readers[i] = actor_start(reader, NULL);
    watch_wait(READERS);
    ck_assert_uint_eq(backing_reads(), 1);
    faulty_release(stage_faulty, BACKING_READ, result);
    for (unsigned i = 0; i < READERS; i++)
        actor_go(readers[i]);
    watch_end();
    ck_assert_uint_eq(backing_reads(), 1);
}

START_TEST(several_readers_of_one_stored_page_cause_one_backing_read)
{
    many_readers(race_read_old, 0);
    /* Only the first found it idle: it was wanted again, and one of them promoted
     * it. */
    ck_assert_uint_eq(stage_stat(STAT_promotions), 1);
    race_read_old(NULL);
    ck_assert_uint_eq(backing_reads(), 1);
}
END_TEST

START_TEST(several_readers_of_one_stored_page_see_one_failure)
{
    many_readers(stage_read_is_eio, -EIO);
    ck_assert_uint_eq(stage_stat(STAT_failed_reads), READERS);
    race_read_old(NULL);
}
END_TEST

/* -- Promotions. -- */

static void during_promotion(actor_fn *second)
{
    race_read_old(NULL); /* makes it warm */
    struct actor *reader = actor_stop(GATE_PROMOTE_BUILT, race_read_old, NULL);
    second(NULL);
    actor_go(reader);
}

START_TEST(write_during_promotion_comes_last)
{
    during_promotion(race_write_a);
    race_expect_a();
}
END_TEST

START_TEST(trim_during_promotion_comes_last)
{
    during_promotion(race_trim);
    race_expect_zeroes();
}
END_TEST

START_TEST(partial_write_during_promotion_is_not_lost)
{
    during_promotion(race_write_other_part);
    race_expect_other_part();
}
END_TEST

START_TEST(read_during_promotion_sees_the_page)
{
    during_promotion(race_read_old);
}
END_TEST

START_TEST(compaction_during_promotion_leaves_the_unpublished_object)
{
    during_promotion(race_compact);
}
END_TEST

START_TEST(second_eviction_during_promotion_leaves_one_page)
{
    during_promotion(stage_write_a_and_back);
    race_expect_a();
}
END_TEST

#define ANY(name)                                                                      \
    name##_while_a_fetch_is_in_flight, name##_while_a_fetch_has_landed,                \
        name##_while_a_fetch_fails

HARNESS_MAIN_WITH("race-writeback-fetch", setup, stage_teardown, ANY(write),
                  ANY(write_back_and_forth), ANY(trim), ANY(zero), ANY(partial_write),
                  ANY(read), ANY(second_eviction), ANY(compaction), ANY(place_reuse),
                  two_partial_writes_while_one_fetch_is_in_flight_lose_nothing,
                  write_before_the_fetch_makes_it_needless,
                  trim_before_the_fetch_makes_it_needless,
                  reuse_of_the_segment_before_the_fetch_is_seen,
                  several_readers_of_one_stored_page_cause_one_backing_read,
                  several_readers_of_one_stored_page_see_one_failure,
                  write_during_promotion_comes_last, trim_during_promotion_comes_last,
                  partial_write_during_promotion_is_not_lost,
                  read_during_promotion_sees_the_page,
                  compaction_during_promotion_leaves_the_unpublished_object,
                  second_eviction_during_promotion_leaves_one_page)
