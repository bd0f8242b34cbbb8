/* race-compact.c - compaction moves an object, and others want its page
 *
 * PICKED: the new place is there, the slot is not locked.
 * MOVED: the slot refers to the new place, the old one is not freed.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "race.h"
#include "sample.h"

/* What compaction moves first is its choice: the actors work on that page. */
static uint64_t at;

static void setup(void)
{
    race_setup();
    race_make_holes();
}

static unsigned char other[PAGE];

static void write_it(void)
{
    sample_sized(3000, 77, other);
    model_write_both(&race_model, race_volume, at, PAGE, other);
}

static void write_it_twice(void)
{
    sample_sized(3000, 78, other);
    model_write_both(&race_model, race_volume, at, PAGE, other);
    write_it();
}

static void write_a_word(void)
{
    sample_page(SAMPLE_SAME, 77, other);
    model_write_both(&race_model, race_volume, at, PAGE, other);
}

static void write_part(void)
{
    model_write_both(&race_model, race_volume, at + 55, 300, race_a);
}

static void trim_it(void)
{
    model_trim_both(&race_model, race_volume, at, PAGE);
}

static void zero_part(void)
{
    model_zero_both(&race_model, race_volume, at + 20, 500);
}

static void read_it(void)
{
    model_compare(&race_model, race_volume, at, PAGE);
}

static void trim_all(void)
{
    model_trim_both(&race_model, race_volume, 0, RACE_SIZE);
}

/* The old place goes to other pages, and the page itself gets another. */
static void trim_it_and_let_others_take_its_place(void)
{
    trim_it();
    for (unsigned i = 0; i < 20; i++) {
        sample_sized(3000, 500 + i, other);
        model_write_both(&race_model, race_volume, 2 * MIB + i * PAGE, PAGE, other);
    }
    write_it();
}

static void during(enum gate point, void (*what)(void))
{
    struct actor *compaction = actor_stop(point, race_compact, NULL);

    at = actor_slot(compaction) * PAGE;
    what();
    model_compare_all(&race_model, race_volume);
    actor_go(compaction);
    model_compare_all(&race_model, race_volume);
    harness_check(race_volume);
}

#define DURING(name, what)                                                             \
    START_TEST(name##_during_the_choice_of_compaction)                                 \
    {                                                                                  \
        during(GATE_COMPACT_PICKED, what);                                             \
    }                                                                                  \
    END_TEST                                                                           \
    START_TEST(name##_after_the_move_of_compaction)                                    \
    {                                                                                  \
        during(GATE_COMPACT_MOVED, what);                                              \
    }                                                                                  \
    END_TEST

DURING(write_is_kept, write_it)
DURING(two_writes_are_kept, write_it_twice)
DURING(write_of_a_word_is_kept, write_a_word)
DURING(partial_write_is_kept, write_part)
DURING(trim_is_kept, trim_it)
DURING(partial_zero_is_kept, zero_part)
DURING(read_sees_the_page, read_it)
DURING(trim_of_all_is_kept, trim_all)
DURING(place_taken_by_others_is_theirs, trim_it_and_let_others_take_its_place)

START_TEST(writer_at_the_limit_waits_for_the_compaction_it_needs_and_no_more)
{
    /* One who stopped before his object is published does not keep compaction from ending. */
    struct actor *writer = actor_stop(GATE_WRITE_BUILT, race_write_a, NULL);

    race_compact(NULL);
    race_compact(NULL);
    actor_go(writer);
    race_expect(race_a);
}
END_TEST

START_TEST(compaction_moves_something_here)
{
    uint64_t before = harness_stat(race_volume, STAT_mem_used_total);

    volume_compact(race_volume, NULL);
    ck_assert_uint_gt(harness_stat(race_volume, STAT_pages_compacted), 0);
    ck_assert_uint_lt(harness_stat(race_volume, STAT_mem_used_total), before);
}
END_TEST

HARNESS_MAIN_WITH("race-compact", setup, race_teardown, compaction_moves_something_here,
                  write_is_kept_during_the_choice_of_compaction,
                  write_is_kept_after_the_move_of_compaction,
                  two_writes_are_kept_during_the_choice_of_compaction,
                  two_writes_are_kept_after_the_move_of_compaction,
                  write_of_a_word_is_kept_during_the_choice_of_compaction,
                  write_of_a_word_is_kept_after_the_move_of_compaction,
                  partial_write_is_kept_during_the_choice_of_compaction,
                  partial_write_is_kept_after_the_move_of_compaction,
                  trim_is_kept_during_the_choice_of_compaction,
                  trim_is_kept_after_the_move_of_compaction,
                  partial_zero_is_kept_during_the_choice_of_compaction,
                  partial_zero_is_kept_after_the_move_of_compaction,
                  read_sees_the_page_during_the_choice_of_compaction,
                  read_sees_the_page_after_the_move_of_compaction,
                  trim_of_all_is_kept_during_the_choice_of_compaction,
                  trim_of_all_is_kept_after_the_move_of_compaction,
                  place_taken_by_others_is_theirs_during_the_choice_of_compaction,
                  place_taken_by_others_is_theirs_after_the_move_of_compaction,
                  writer_at_the_limit_waits_for_the_compaction_it_needs_and_no_more)
