/* unit-sparse.c - the search for blocks that are worth cleaning
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "harness.h"
#include "sparse.h"

#define BLOCKS 640u

static struct memory memory;
static struct space space;
static struct sparse sparse;
static bool was_free; /* which nobody here asks */

static void setup(void)
{
    memory_init(&memory, UINT64_MAX);
    ck_assert_int_eq(
        space_open(&space, (BLOCKS + 1) * (uint64_t)BLOCK_BYTES, &memory, false), 0);
    ck_assert_int_eq(space_start(&space), 0);
    sparse_init(&sparse, &space);
}

static void teardown(void)
{
    space_close(&space);
}

/* Each block has had two objects, one of which is dead. */
static void make_half_dead(void)
{
    const uint32_t length = 2000;
    uint32_t first, count;

    while ((count = space_take(&space, 1, &first, &was_free)) > 0) {
        space_landed(&space, first, 2 * block_object_bytes(length));
        space_release(&space, address_make(first, 0, 0), length);
    }
}

/* Until it has looked at all there is, in groups of each size. */
static unsigned find(unsigned most, bool splits, bool gathering)
{
    const struct sparse_terms terms = {
        .most = most, .splits = splits, .gathering = gathering};
    uint32_t blocks[BLOCKS];
    unsigned found = 0;

    for (unsigned turn = 0; turn < 100 && found == 0; turn++)
        found = sparse_find(&sparse, &terms, blocks);
    return found;
}

START_TEST(what_is_half_dead_is_found)
{
    make_half_dead();
    ck_assert_uint_eq(find(64, false, false), 64);
    ck_assert(!sparse_has_looked_everywhere(&sparse, false));
}
END_TEST

START_TEST(where_nothing_is_dead_all_is_looked_at_in_vain)
{
    ck_assert_uint_eq(find(64, false, false), 0);
    ck_assert(sparse_has_looked_everywhere(&sparse, false));
}
END_TEST

/* A store counted as full that was not, when much was on its way already. */
START_TEST(search_that_may_take_no_block_has_looked_nowhere)
{
    make_half_dead();
    ck_assert_uint_eq(find(0, false, true), 0);
    ck_assert(!sparse_has_looked_everywhere(&sparse, false));
    ck_assert_uint_eq(find(64, false, false), 64);
}
END_TEST

START_TEST(search_that_may_take_no_group_has_not_looked_for_it)
{
    make_half_dead();
    space_note_split(&space, 2000);
    ck_assert_uint_eq(find(SPARSE_MOST_MIN / 4 - 1, true, true), 0);
    ck_assert(!sparse_has_looked_everywhere(&sparse, true));
    ck_assert_uint_gt(find(SPARSE_MOST_MIN, true, false), 0);
}
END_TEST

/* Objects were split once, and a search then takes fewer blocks at a time: of them less needs to be dead. */
START_TEST(store_that_is_dead_to_a_third_is_worth_it_though_some_was_split_once)
{
    const uint32_t length = 1300;
    uint32_t first;

    space_note_split(&space, 2000);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        ck_assert_uint_eq(space_take(&space, 1, &first, &was_free), 1);
        space_landed(&space, first, 3 * block_object_bytes(length));
        space_release(&space, address_make(first, 0, 0), length);
    }
    ck_assert_uint_gt(find(64, false, false), 0);
}
END_TEST

START_TEST(look_block_by_block_is_none_in_groups)
{
    ck_assert_uint_eq(find(64, true, false), 0);
    ck_assert(sparse_has_looked_everywhere(&sparse, true));
    ck_assert_uint_eq(find(64, false, false), 0);
    ck_assert(sparse_has_looked_everywhere(&sparse, false));
    ck_assert(!sparse_has_looked_everywhere(&sparse, true));
    ck_assert_uint_eq(find(64, true, false), 0);
    ck_assert(sparse_has_looked_everywhere(&sparse, true));
}
END_TEST

/* So much is live in all blocks of a group that is left, when raw pages and one block that is nearly empty are in
 * the first. */
static void make_one_nearly_empty(uint32_t live_bytes)
{
    uint32_t first;

    for (uint32_t i = 0; i < BLOCKS; i++) {
        ck_assert_uint_eq(space_take(&space, 1, &first, &was_free), 1);
        space_landed(&space, first, i == 0 ? 448 : i < 16 ? BLOCK_BYTES : live_bytes);
    }
    space_note_split(&space, 2000);
}

/* Another store that counted as full and was not: that block is the cheapest to move, and makes no room. */
START_TEST(block_that_has_little_left_does_not_hide_groups_that_are_worth_it)
{
    make_one_nearly_empty(3600);
    ck_assert_uint_eq(find(SPARSE_MOST_MIN, true, false), 16);
}
END_TEST

START_TEST(block_that_has_little_left_is_not_moved_alone)
{
    make_one_nearly_empty(BLOCK_BYTES);
    ck_assert_uint_eq(find(SPARSE_MOST_MIN, true, false), 0);
    ck_assert(sparse_has_looked_everywhere(&sparse, true));
    ck_assert_uint_eq(find(SPARSE_MOST_MIN, true, true), 1);
}
END_TEST

HARNESS_MAIN_WITH("unit-sparse", setup, teardown, what_is_half_dead_is_found,
                  where_nothing_is_dead_all_is_looked_at_in_vain,
                  search_that_may_take_no_block_has_looked_nowhere,
                  search_that_may_take_no_group_has_not_looked_for_it,
                  store_that_is_dead_to_a_third_is_worth_it_though_some_was_split_once,
                  look_block_by_block_is_none_in_groups,
                  block_that_has_little_left_does_not_hide_groups_that_are_worth_it,
                  block_that_has_little_left_is_not_moved_alone)
