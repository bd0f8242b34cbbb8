/* race-read.c - a read that has the object's bytes and no lock, and what becomes of the page
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "race.h"

/* The read began before SECOND: it sees the old page, whatever has become of it. */
static void sees_the_old_page(actor_fn *second)
{
    actor_race(GATE_READ_COPIED, race_read_old, second, NULL);
}

START_TEST(write_during_read_is_not_seen)
{
    sees_the_old_page(race_write_a);
    race_expect(race_a);
}
END_TEST

START_TEST(partial_write_during_read_is_not_seen)
{
    sees_the_old_page(race_write_part);
    race_expect_part();
}
END_TEST

START_TEST(trim_during_read_is_not_seen)
{
    sees_the_old_page(race_trim);
    race_expect_zeroes();
}
END_TEST

START_TEST(zero_during_read_is_not_seen)
{
    sees_the_old_page(race_zero);
    race_expect_zeroes();
}
END_TEST

START_TEST(place_taken_by_others_during_read_is_not_read)
{
    sees_the_old_page(race_take_the_place);
    race_expect_zeroes();
}
END_TEST

START_TEST(compaction_during_read_does_not_matter)
{
    race_make_holes();
    sees_the_old_page(race_compact);
}
END_TEST

START_TEST(read_during_read_sees_the_same)
{
    sees_the_old_page(race_read_old);
}
END_TEST

START_TEST(page_without_content_stays_zeroes_for_who_began_before_a_write)
{
    model_trim_both(&race_model, race_volume, RACE_AT, PAGE);
    actor_race(GATE_READ_COPIED, race_read_zeroes, race_write_b, NULL);
    race_expect(race_b);
}
END_TEST

HARNESS_MAIN_WITH("race-read", race_setup, race_teardown, write_during_read_is_not_seen,
                  partial_write_during_read_is_not_seen, trim_during_read_is_not_seen,
                  zero_during_read_is_not_seen,
                  place_taken_by_others_during_read_is_not_read,
                  compaction_during_read_does_not_matter,
                  read_during_read_sees_the_same,
                  page_without_content_stays_zeroes_for_who_began_before_a_write)
