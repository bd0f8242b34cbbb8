/* race-partial-write.c - a partial write, which merges, and who changes the page meanwhile
 *
 * MERGED: it has its merged copy, under a ticket.  BUILT: it has the object for it, too.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <string.h>

#include "race.h"

static uint64_t repeated(void)
{
    return harness_stat(race_volume, STAT_merges_repeated);
}

/* Runs SECOND in both places of a partial write of an old page, and compares with EXPECT's. */
static void at_both(actor_fn *first, actor_fn *second, void (*expect)(void))
{
    static const enum gate points[] = {GATE_WRITE_MERGED, GATE_WRITE_BUILT};

    for (unsigned i = 0; i < 2; i++) {
        model_write_both(&race_model, race_volume, RACE_AT, PAGE, race_old);
        uint64_t before = repeated();
        actor_race(points[i], first, second, NULL);
        expect();
        model_compare_all(&race_model, race_volume);
        harness_check(race_volume);
        ck_assert_uint_ge(repeated(), before + 1);
    }
}

static void expect_part_of_zeroes(void)
{
    race_expect_zeroes();
    race_expect_part();
}

static void expect_both_parts(void)
{
    race_expect_part();
    race_expect_other_part();
}

static void expect_part_of_b(void)
{
    race_expect(race_b);
    race_expect_part();
}

static void expect_part_and_zeroes(void)
{
    race_expect_part();
    model_zero(&race_model, RACE_AT + RACE_OTHER_AT, RACE_OTHER_BYTES);
}

static void expect_zeroed_b(void)
{
    race_expect(race_b);
    model_zero(&race_model, RACE_AT + RACE_OTHER_AT, RACE_OTHER_BYTES);
}

START_TEST(trim_during_partial_write_is_not_undone)
{
    at_both(race_write_part, race_trim, expect_part_of_zeroes);
}
END_TEST

START_TEST(zero_during_partial_write_is_not_undone)
{
    at_both(race_write_part, race_zero, expect_part_of_zeroes);
}
END_TEST

START_TEST(partial_write_during_partial_write_is_not_lost)
{
    at_both(race_write_part, race_write_other_part, expect_both_parts);
}
END_TEST

START_TEST(partial_zero_during_partial_write_is_not_undone)
{
    at_both(race_write_part, race_zero_other_part, expect_part_and_zeroes);
}
END_TEST

START_TEST(partial_write_during_partial_zero_is_not_lost)
{
    at_both(race_zero_other_part, race_write_part, expect_part_and_zeroes);
}
END_TEST

START_TEST(write_during_partial_write_is_under_it)
{
    at_both(race_write_part, race_write_b, expect_part_of_b);
}
END_TEST

START_TEST(write_during_partial_zero_is_under_it)
{
    at_both(race_zero_other_part, race_write_b, expect_zeroed_b);
}
END_TEST

START_TEST(old_page_written_back_during_partial_write_is_merged_again)
{
    at_both(race_write_part, race_write_back_and_forth, race_expect_part);
}
END_TEST

/* The page's object goes, another page of the same length gets its place, and its handle. */
static void write_another_with_the_same_handle(void *opaque)
{
    race_trim(opaque);
    race_write_b(opaque);
}

START_TEST(partial_write_is_not_fooled_by_a_handle_used_again)
{
    at_both(race_write_part, write_another_with_the_same_handle, expect_part_of_b);
}
END_TEST

START_TEST(trim_of_an_empty_page_during_partial_write_is_seen)
{
    model_trim_both(&race_model, race_volume, RACE_AT, PAGE);
    actor_race(GATE_WRITE_MERGED, race_write_part, race_trim, NULL);
    ck_assert_uint_eq(repeated(), 1);
    race_expect_part();
}
END_TEST

START_TEST(read_during_partial_write_sees_the_old_page_and_repeats_nothing)
{
    actor_race(GATE_WRITE_MERGED, race_write_part, race_read_old, NULL);
    race_expect_part();
    ck_assert_uint_eq(repeated(), 0);
}
END_TEST

START_TEST(write_after_partial_write_switched_comes_last)
{
    actor_race(GATE_WRITE_SWITCHED, race_write_part, race_write_b, NULL);
    race_expect(race_b);
}
END_TEST

START_TEST(compaction_during_partial_write_loses_nothing)
{
    race_make_holes();
    actor_race(GATE_WRITE_MERGED, race_write_part, race_compact, NULL);
    race_expect_part();
    actor_race(GATE_WRITE_BUILT, race_write_other_part, race_compact, NULL);
    race_expect_other_part();
}
END_TEST

START_TEST(place_taken_by_others_during_partial_write_is_not_freed)
{
    actor_race(GATE_WRITE_BUILT, race_write_part, race_take_the_place, NULL);
    expect_part_of_zeroes();
}
END_TEST

/* Two who merge over each other in turn. */
START_TEST(two_partial_writes_stopped_at_once_both_get_there)
{
    struct actor *part = actor_stop(GATE_WRITE_MERGED, race_write_part, NULL);
    struct actor *other = actor_stop(GATE_WRITE_BUILT, race_write_other_part, NULL);

    actor_go(part);
    actor_go(other);
    ck_assert_uint_eq(repeated(), 1);
    expect_both_parts();
}
END_TEST

HARNESS_MAIN_WITH("race-partial-write", race_setup, race_teardown,
                  trim_during_partial_write_is_not_undone,
                  zero_during_partial_write_is_not_undone,
                  partial_write_during_partial_write_is_not_lost,
                  partial_zero_during_partial_write_is_not_undone,
                  partial_write_during_partial_zero_is_not_lost,
                  write_during_partial_write_is_under_it,
                  write_during_partial_zero_is_under_it,
                  old_page_written_back_during_partial_write_is_merged_again,
                  partial_write_is_not_fooled_by_a_handle_used_again,
                  trim_of_an_empty_page_during_partial_write_is_seen,
                  read_during_partial_write_sees_the_old_page_and_repeats_nothing,
                  write_after_partial_write_switched_comes_last,
                  compaction_during_partial_write_loses_nothing,
                  place_taken_by_others_during_partial_write_is_not_freed,
                  two_partial_writes_stopped_at_once_both_get_there)
