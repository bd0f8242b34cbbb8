/* race-leaf.c - a part of the slot table comes and goes under those who use it
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "harness.h"
#include "model.h"
#include "sample.h"

static struct volume *volume;
static struct model model;
static unsigned char first[PAGE], second[PAGE], third[PAGE];

/* Pages of one leaf. */
#define X 1
#define Y 2
#define Z 3

static void setup(void)
{
    volume = harness_open("size", "4M", "compressor", "lz4", NULL);
    model_open(&model, 4 * MIB);
    sample_page(SAMPLE_TEXT, 1, first);
    sample_page(SAMPLE_MIXED, 2, second);
    sample_page(SAMPLE_RANDOM, 3, third);
}

static void teardown(void)
{
    model_compare_all(&model, volume);
    model_compare_extents(&model, volume, 0, 4 * MIB);
    harness_close(volume);
    model_close(&model);
}

/* -- Actors.  The model is the test's thread's; it is told what the outcome must be. -- */

static void write_x(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(volume_write(volume, X * PAGE, PAGE, first), 0);
}

static void write_y(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(volume_write(volume, Y * PAGE, PAGE, second), 0);
}

static void write_part_of_x(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(volume_write(volume, X * PAGE + 100, 50, first), 0);
}

static void zero_part_of_x(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(volume_zero(volume, X * PAGE, 100), 0);
}

static void trim_all(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(volume_trim(volume, 0, MIB), 0);
}

static void write_z_and_trim_it(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(volume_write(volume, Z * PAGE, PAGE, third), 0);
    ck_assert_int_eq(volume_trim(volume, Z * PAGE, PAGE), 0);
}

static void compact(void *opaque)
{
    (void)opaque;
    volume_compact(volume, NULL);
}

static void read_nothing(void *opaque)
{
    static const unsigned char zeroes[PAGE];
    unsigned char page[PAGE];

    (void)opaque;
    ck_assert_int_eq(volume_read(volume, X * PAGE, PAGE, page), 0);
    ck_assert_mem_eq(page, zeroes, PAGE);
}

static uint64_t used(void)
{
    return harness_stat(volume, STAT_mem_used_total);
}

START_TEST(a_trim_of_all_pages_gives_the_leaf_back)
{
    write_x(NULL);
    write_y(NULL);
    uint64_t before = used();
    trim_all(NULL);
    ck_assert_uint_le(used(), before - 3 * PAGE);
}
END_TEST

START_TEST(clears_that_pass_the_end_of_puts_do_not_hide_a_page)
{
    /* Had their pages been counted only after they were to be seen, the leaf would have fewer
     * than none now and look absent: page Z, written long ago, would read as zeroes. */
    model_write_both(&model, volume, Z * PAGE, PAGE, third);
    struct actor *x = actor_stop(GATE_EDGE_DONE, write_x, NULL);
    struct actor *y = actor_stop(GATE_EDGE_DONE, write_y, NULL);

    model_trim_both(&model, volume, X * PAGE, 2 * PAGE);
    model_compare_all(&model, volume);
    model_compare_extents(&model, volume, 0, 4 * MIB);
    actor_go(x);
    actor_go(y);
}
END_TEST

START_TEST(write_into_a_leaf_that_is_about_to_be_freed_keeps_it)
{
    write_y(NULL);
    actor_race(GATE_LEAF_FREE, trim_all, write_x, NULL);
    model_write(&model, X * PAGE, PAGE, first);
}
END_TEST

START_TEST(partial_write_into_a_leaf_that_is_about_to_be_freed_keeps_it)
{
    write_y(NULL);
    actor_race(GATE_LEAF_FREE, trim_all, write_part_of_x, NULL);
    model_write(&model, X * PAGE + 100, 50, first);
}
END_TEST

START_TEST(leaf_freed_twice_at_a_time_is_freed_once)
{
    write_y(NULL);
    actor_race(GATE_LEAF_FREE, trim_all, compact, NULL);
}
END_TEST

START_TEST(leaf_made_again_while_it_is_freed_is_freed_again_or_kept)
{
    write_y(NULL);
    actor_race(GATE_LEAF_FREE, trim_all, write_z_and_trim_it, NULL);
}
END_TEST

START_TEST(read_of_a_leaf_that_is_about_to_be_freed_is_zeroes)
{
    write_y(NULL);
    actor_race(GATE_LEAF_FREE, trim_all, read_nothing, NULL);
}
END_TEST

START_TEST(ticket_of_a_partial_write_keeps_the_leaf)
{
    /* The page is EMPTY, and so is all of the leaf: only the ticket holds it. */
    struct actor *actor = actor_stop(GATE_WRITE_MERGED, write_part_of_x, NULL);
    uint64_t before = used();

    trim_all(NULL);
    compact(NULL);
    ck_assert_uint_eq(used(), before);
    actor_go(actor);
    model_write(&model, X * PAGE + 100, 50, first);
}
END_TEST

START_TEST(partial_zero_while_the_leaf_goes_is_zero)
{
    write_x(NULL);
    actor_race(GATE_WRITE_MERGED, zero_part_of_x, trim_all, NULL);
}
END_TEST

START_TEST(write_into_a_leaf_that_came_and_went_makes_it)
{
    actor_race(GATE_WRITE_BUILT, write_x, write_z_and_trim_it, NULL);
    model_write(&model, X * PAGE, PAGE, first);
}
END_TEST

START_TEST(read_while_a_leaf_is_made_is_zeroes_and_does_not_wait)
{
    struct actor *actor = actor_stop(GATE_LEAF_MAKE, write_x, NULL);

    read_nothing(NULL);
    model_compare_extents(&model, volume, 0, 4 * MIB);
    actor_go(actor);
    model_write(&model, X * PAGE, PAGE, first);
}
END_TEST

START_TEST(trim_while_a_leaf_is_made_does_not_wait)
{
    struct actor *actor = actor_stop(GATE_LEAF_MAKE, write_x, NULL);

    trim_all(NULL);
    actor_go(actor);
    model_write(&model, X * PAGE, PAGE, first);
}
END_TEST

START_TEST(compaction_while_a_leaf_is_made_leaves_it)
{
    actor_race(GATE_LEAF_MAKE, write_x, compact, NULL);
    model_write(&model, X * PAGE, PAGE, first);
}
END_TEST

HARNESS_MAIN_WITH("race-leaf", setup, teardown, a_trim_of_all_pages_gives_the_leaf_back,
                  clears_that_pass_the_end_of_puts_do_not_hide_a_page,
                  write_into_a_leaf_that_is_about_to_be_freed_keeps_it,
                  partial_write_into_a_leaf_that_is_about_to_be_freed_keeps_it,
                  leaf_freed_twice_at_a_time_is_freed_once,
                  leaf_made_again_while_it_is_freed_is_freed_again_or_kept,
                  read_of_a_leaf_that_is_about_to_be_freed_is_zeroes,
                  ticket_of_a_partial_write_keeps_the_leaf,
                  partial_zero_while_the_leaf_goes_is_zero,
                  write_into_a_leaf_that_came_and_went_makes_it,
                  read_while_a_leaf_is_made_is_zeroes_and_does_not_wait,
                  trim_while_a_leaf_is_made_does_not_wait,
                  compaction_while_a_leaf_is_made_leaves_it)
