/* race-write.c - a write of a page, and what may come in its middle
 *
 * BUILT: the new object is there, the slot refers to the old one.
 * SWITCHED: the slot refers to the new one, the old is about to be freed.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "race.h"

START_TEST(write_during_write_comes_first)
{
    actor_race(GATE_WRITE_BUILT, race_write_a, race_write_b, NULL);
    race_expect(race_a);
}
END_TEST

START_TEST(write_after_write_switched_comes_last)
{
    actor_race(GATE_WRITE_SWITCHED, race_write_a, race_write_b, NULL);
    race_expect(race_b);
}
END_TEST

START_TEST(two_writes_after_write_switched_free_each_object_once)
{
    actor_race(GATE_WRITE_SWITCHED, race_write_a, race_write_back_and_forth, NULL);
    race_expect(race_old);
}
END_TEST

START_TEST(trim_during_write_comes_first)
{
    actor_race(GATE_WRITE_BUILT, race_write_a, race_trim, NULL);
    race_expect(race_a);
}
END_TEST

START_TEST(trim_after_write_switched_comes_last)
{
    actor_race(GATE_WRITE_SWITCHED, race_write_a, race_trim, NULL);
    race_expect_zeroes();
}
END_TEST

START_TEST(zero_during_write_comes_first)
{
    actor_race(GATE_WRITE_BUILT, race_write_a, race_zero, NULL);
    race_expect(race_a);
}
END_TEST

START_TEST(partial_write_during_write_comes_first)
{
    actor_race(GATE_WRITE_BUILT, race_write_a, race_write_other_part, NULL);
    race_expect(race_a);
}
END_TEST

START_TEST(partial_write_after_write_switched_is_on_top_of_it)
{
    actor_race(GATE_WRITE_SWITCHED, race_write_a, race_write_other_part, NULL);
    race_expect(race_a);
    race_expect_other_part();
}
END_TEST

START_TEST(read_during_write_sees_the_old_page)
{
    actor_race(GATE_WRITE_BUILT, race_write_a, race_read_old, NULL);
    race_expect(race_a);
}
END_TEST

START_TEST(read_after_write_switched_sees_the_new_page)
{
    actor_race(GATE_WRITE_SWITCHED, race_write_a, race_read_a, NULL);
    race_expect(race_a);
}
END_TEST

START_TEST(read_after_trim_switched_sees_zeroes)
{
    actor_race(GATE_WRITE_SWITCHED, race_trim, race_read_zeroes, NULL);
    race_expect_zeroes();
}
END_TEST

START_TEST(write_after_trim_switched_comes_last)
{
    actor_race(GATE_WRITE_SWITCHED, race_trim, race_write_b, NULL);
    race_expect(race_b);
}
END_TEST

START_TEST(compaction_during_write_leaves_the_unpublished_object)
{
    race_make_holes();
    actor_race(GATE_WRITE_BUILT, race_write_a, race_compact, NULL);
    race_expect(race_a);
}
END_TEST

START_TEST(compaction_after_write_switched_leaves_the_old_object_to_its_writer)
{
    race_make_holes();
    actor_race(GATE_WRITE_SWITCHED, race_write_a, race_compact, NULL);
    race_expect(race_a);
}
END_TEST

START_TEST(compaction_after_trim_switched_leaves_the_old_object_to_the_trim)
{
    race_make_holes();
    actor_race(GATE_WRITE_SWITCHED, race_trim, race_compact, NULL);
    race_expect_zeroes();
}
END_TEST

START_TEST(pages_of_every_kind_during_a_write_are_freed)
{
    actor_race(GATE_WRITE_BUILT, race_write_a, race_write_word, NULL);
    actor_race(GATE_WRITE_BUILT, race_write_word, race_write_huge, NULL);
    actor_race(GATE_WRITE_BUILT, race_write_huge, race_trim, NULL);
    actor_race(GATE_WRITE_SWITCHED, race_write_huge, race_write_word, NULL);
    actor_race(GATE_WRITE_BUILT, race_write_b, race_write_huge, NULL);
    race_expect(race_b);
}
END_TEST

START_TEST(four_writers_at_once_leave_one_page_and_no_object)
{
    struct actor *a = actor_stop(GATE_WRITE_BUILT, race_write_a, NULL);
    struct actor *huge = actor_stop(GATE_WRITE_BUILT, race_write_huge, NULL);
    struct actor *switched = actor_stop(GATE_WRITE_SWITCHED, race_write_b, NULL);

    actor_go(huge);
    race_trim(NULL);
    actor_go(a);
    actor_go(switched);
    race_expect(race_a);
}
END_TEST

HARNESS_MAIN_WITH("race-write", race_setup, race_teardown,
                  write_during_write_comes_first, write_after_write_switched_comes_last,
                  two_writes_after_write_switched_free_each_object_once,
                  trim_during_write_comes_first, trim_after_write_switched_comes_last,
                  zero_during_write_comes_first, partial_write_during_write_comes_first,
                  partial_write_after_write_switched_is_on_top_of_it,
                  read_during_write_sees_the_old_page,
                  read_after_write_switched_sees_the_new_page,
                  read_after_trim_switched_sees_zeroes,
                  write_after_trim_switched_comes_last,
                  compaction_during_write_leaves_the_unpublished_object,
                  compaction_after_write_switched_leaves_the_old_object_to_its_writer,
                  compaction_after_trim_switched_leaves_the_old_object_to_the_trim,
                  pages_of_every_kind_during_a_write_are_freed,
                  four_writers_at_once_leave_one_page_and_no_object)
