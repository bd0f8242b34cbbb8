/* unit-space.c - the account of the backing store's blocks
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "space.h"

static struct memory memory;
static struct space space;
static bool *taken;
static bool was_free;

static void open_space(uint32_t blocks)
{
    memory_init(&memory, UINT64_MAX);
    ck_assert_int_eq(
        space_open(&space, (blocks + 1) * (uint64_t)BLOCK_BYTES, &memory, false), 0);
    ck_assert_int_eq(space_start(&space), 0);
    ck_assert_uint_eq(space.blocks, blocks);
    ck_assert_uint_eq(memory_used_bytes(&memory),
                      space_fixed_bytes((blocks + 1) * (uint64_t)BLOCK_BYTES));
    taken = calloc(blocks + 1, sizeof *taken);
    ck_assert_ptr_nonnull(taken);
}

static void close_space(void)
{
    space_close(&space);
    free(taken);
}

static void note(uint32_t first, uint32_t count, bool is_taken)
{
    for (uint32_t block = first; block < first + count; block++) {
        ck_assert(block >= 1 && block <= space.blocks);
        ck_assert(taken[block] != is_taken);
        taken[block] = is_taken;
    }
}

/* Sizes around those at which words of the maps, and words above words, end. */
static const uint32_t sizes[] = {1, 62, 63, 64, 65, 127, 1023, 4094, 4095, 4096, 9000};

START_TEST(all_blocks_can_be_taken_once_and_put_back)
{
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint32_t sum = 0, first, count;

        open_space(sizes[i]);
        ck_assert_int_eq(space_check(&space), 0);
        while ((count = space_take(&space, 7, &first, &was_free)) > 0) {
            ck_assert_uint_le(count, 7);
            note(first, count, true);
            sum += count;
        }
        ck_assert_uint_eq(sum, sizes[i]);
        ck_assert_uint_eq(space_available(&space), 0);
        for (uint32_t block = sizes[i]; block > 0; block--)
            space_put_back(&space, block, 1, block % 2);
        ck_assert_int_eq(space_check(&space), 0);
        ck_assert_uint_eq(space_available(&space), sizes[i]);
        ck_assert_uint_eq(space_used_blocks(&space), sizes[i] / 2);
        close_space();
    }
}
END_TEST

/* One block that is EMPTY, wherever it is and wherever the hand. */
START_TEST(only_empty_block_is_found_from_anywhere)
{
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint32_t first;

        open_space(sizes[i]);
        while (space_take(&space, UINT32_MAX, &first, &was_free))
            ;
        for (uint32_t block = 1; block <= sizes[i]; block += 1 + block / 16) {
            space_put_back(&space, block, 1, false);
            ck_assert_uint_eq(space_take(&space, 64, &first, &was_free), 1);
            ck_assert_uint_eq(first, block);
        }
        close_space();
    }
}
END_TEST

static address_t at(uint32_t block, uint32_t offset)
{
    return address_make(block, offset, 0);
}

START_TEST(block_is_empty_when_its_last_object_is_released)
{
    uint32_t block, dead;

    open_space(100);
    ck_assert_uint_eq(space_take(&space, 1, &block, &was_free), 1);
    space_landed(&space, block, 3 * block_object_bytes(1000));
    ck_assert_uint_eq(space_cleanable_bytes(&space, block, &dead),
                      3 * block_object_bytes(1000));
    ck_assert_uint_lt(dead, 64);
    space_release(&space, at(block, 0), 1000);
    ck_assert_uint_eq(space_cleanable_bytes(&space, block, &dead),
                      2 * block_object_bytes(1000));
    ck_assert(dead > block_object_bytes(1000) - 64 && dead <= block_object_bytes(1000));
    space_release(&space, at(block, 1016), 1000);
    ck_assert_uint_eq(space.empty.count, 0);
    space_release(&space, at(block, 2032), 1000);
    ck_assert_uint_eq(space.empty.count, 1);
    ck_assert_uint_eq(space.live_bytes, 0);
    ck_assert_int_eq(space_check(&space), 0);
    close_space();
}
END_TEST

START_TEST(pinned_block_is_not_empty_before_its_last_pin_is_off)
{
    uint32_t block;

    open_space(100);
    space_take(&space, 1, &block, &was_free);
    ck_assert(!space_try_pin_block(&space, block));
    space_landed(&space, block, BLOCK_BYTES);
    space_pin(&space, at(block, 12345), BLOCK_BYTES);
    ck_assert(space_try_pin_block(&space, block));
    space_release(&space, at(block, 12345), BLOCK_BYTES);
    ck_assert_uint_eq(space.empty.count, 0);
    space_unpin(&space, at(block, 12345), BLOCK_BYTES);
    ck_assert_uint_eq(space.empty.count, 0);
    space_unpin_block(&space, block);
    ck_assert_uint_eq(space.empty.count, 1);
    ck_assert(!space_try_pin_block(&space, block));
    close_space();
}
END_TEST

/* 3000 bytes with their header at 2000: 2080 of them there, 920 in the next block. */
START_TEST(split_object_takes_and_pins_two_blocks)
{
    const struct object_parts parts = object_parts_at(2000, 3000);
    uint32_t block, dead;

    ck_assert_uint_eq(parts.head_length, 2080);
    ck_assert_uint_eq(parts.bytes, BLOCK_BYTES - 2000);
    ck_assert_uint_eq(parts.rest_bytes, block_object_bytes(920));
    open_space(100);
    ck_assert_uint_eq(space_take(&space, 2, &block, &was_free), 2);
    space_landed(&space, block, parts.bytes);
    space_landed(&space, block + 1, parts.rest_bytes + block_object_bytes(1000));
    space_pin(&space, at(block, 2000), 3000);
    space_release(&space, at(block, 2000), 3000);
    ck_assert_uint_eq(space_cleanable_bytes(&space, block + 1, &dead),
                      block_object_bytes(1000));
    space_release(&space, at(block + 1, parts.rest_bytes), 1000);
    ck_assert_uint_eq(space.live_bytes, 0);
    ck_assert_uint_eq(space.empty.count, 0);
    space_unpin(&space, at(block, 2000), 3000);
    ck_assert_uint_eq(space.empty.count, 2);
    ck_assert_int_eq(space_check(&space), 0);
    close_space();
}
END_TEST

/* Two of these make one block; what is over half full and left over does not. */
START_TEST(block_that_is_filled_less_than_half_is_sparse)
{
    uint32_t block, dead;

    open_space(100);
    space_take(&space, 1, &block, &was_free);
    space_landed(&space, block, 2000);
    ck_assert_uint_eq(space_cleanable_bytes(&space, block, &dead), 2000);
    ck_assert_uint_eq(dead, BLOCK_BYTES - 2000);
    space_take(&space, 1, &block, &was_free);
    space_landed(&space, block, 3000);
    ck_assert_uint_eq(space_cleanable_bytes(&space, block, &dead), 3000);
    ck_assert_uint_lt(dead, 64);
    space_set_tried(&space, block, true);
    ck_assert_uint_eq(space_cleanable_bytes(&space, block, &dead), 0);
    close_space();
}
END_TEST

/* The start finds something in some blocks; a slot may refer to any. */
START_TEST(what_was_there_at_the_start_is_empty_or_adopted)
{
    uint32_t first;

    open_space(200);
    space_note_content(&space, 1, 65);
    space_note_content(&space, 128, 130);
    ck_assert_int_eq(space_check(&space), 0);
    ck_assert_uint_eq(space.empty.count, 66);
    ck_assert_uint_eq(space_used_blocks(&space), 66);
    space_adopt_begin(&space);
    ck_assert_int_eq(space_adopt(&space, at(64, 0), 1000), 0);
    ck_assert_int_eq(space_adopt(&space, at(150, 0), 1000), 0);
    ck_assert_int_eq(space_check(&space), 0);
    ck_assert_uint_eq(space.empty.count, 65);
    ck_assert_uint_eq(space_available(&space), 198);
    for (unsigned left = 65; left > 0;) {
        uint32_t count = space_take_empty(&space, 10, &first);

        ck_assert(count > 0 && (first + count <= 64 || first >= 128));
        space_put_back(&space, first, count, true);
        left -= count;
    }
    ck_assert_uint_eq(space_used_blocks(&space), 2);
    ck_assert_int_eq(space_check(&space), 0);
    close_space();
}
END_TEST

START_TEST(nothing_counts_as_released_after_a_restart)
{
    open_space(100);
    space_adopt_begin(&space);
    for (uint32_t block = 1; block <= 30; block++)
        ck_assert_int_eq(space_adopt(&space, at(block, 0), 1000), 0);
    ck_assert_uint_eq(space_released_bytes(&space), 0);
    space_release(&space, at(7, 0), 1000);
    ck_assert_uint_eq(space_released_bytes(&space), block_object_bytes(1000));
    ck_assert_int_eq(space_check(&space), 0);
    close_space();
}
END_TEST

/* The blocks from FIRST up to END have been in use. */
static void make_empty(uint32_t first, uint32_t end)
{
    for (uint32_t block = first; block < end; block++)
        space_put_back(&space, block, 1, false);
}

static void open_with_empty_blocks(uint32_t first, uint32_t end)
{
    uint32_t taken_first;

    open_space(200);
    ck_assert_uint_eq(space_take(&space, 100, &taken_first, &was_free), 100);
    ck_assert_uint_eq(taken_first, 1);
    make_empty(first, end);
    space_set_reuses(&space, true);
}

START_TEST(neighbouring_empty_blocks_are_used_again_before_free_ones)
{
    uint32_t first;

    open_with_empty_blocks(20, 36);
    ck_assert_uint_eq(space_take(&space, 64, &first, &was_free), 16);
    ck_assert_uint_eq(first, 20);
    ck_assert(!was_free);
    ck_assert_uint_eq(space_take(&space, 64, &first, &was_free), 64);
    ck_assert_uint_eq(first, 101);
    ck_assert(was_free);
    close_space();
}
END_TEST

/* Before the end of a segment fewer do. */
START_TEST(as_many_empty_blocks_as_are_wanted_are_used_again)
{
    uint32_t first;

    open_with_empty_blocks(20, 24);
    ck_assert_uint_eq(space_take(&space, 4, &first, &was_free), 4);
    ck_assert_uint_eq(first, 20);
    ck_assert(!was_free);
    close_space();
}
END_TEST

START_TEST(lone_empty_blocks_wait_until_there_are_no_free_ones)
{
    uint32_t first;

    open_with_empty_blocks(20, 35);
    make_empty(50, 65);
    ck_assert_uint_eq(space_take(&space, 64, &first, &was_free), 64);
    ck_assert_uint_eq(first, 101);
    ck_assert_uint_eq(space_take(&space, 64, &first, &was_free), 36);
    ck_assert(was_free);
    ck_assert_uint_eq(space_take(&space, 64, &first, &was_free), 15);
    ck_assert(!was_free);
    ck_assert_uint_eq(space_take(&space, 64, &first, &was_free), 15);
    ck_assert_uint_eq(space_take(&space, 64, &first, &was_free), 0);
    close_space();
}
END_TEST

START_TEST(free_blocks_come_first_where_reuse_is_not_wanted)
{
    uint32_t first;

    open_with_empty_blocks(20, 60);
    space_set_reuses(&space, false);
    ck_assert_uint_eq(space_take(&space, 64, &first, &was_free), 64);
    ck_assert_uint_eq(first, 101);
    ck_assert(was_free);
    close_space();
}
END_TEST

/* Looking for them takes time in a large store. */
START_TEST(neighbours_that_were_not_found_are_looked_for_again_when_there_are_more)
{
    uint32_t first;

    open_with_empty_blocks(20, 35);
    make_empty(50, 60);
    ck_assert_uint_eq(space_take(&space, 16, &first, &was_free), 16);
    ck_assert(was_free);
    make_empty(35, 50); /* 40 in a row; but one fewer than would be looked for */
    ck_assert_uint_eq(space_take(&space, 16, &first, &was_free), 16);
    ck_assert(was_free);
    make_empty(60, 61);
    ck_assert_uint_eq(space_take(&space, 64, &first, &was_free), 41);
    ck_assert_uint_eq(first, 20);
    ck_assert(!was_free);
    close_space();
}
END_TEST

/* What was taken from both is there again as it was. */
START_TEST(blocks_not_written_are_free_or_empty_again)
{
    uint32_t numbers[80], first, count = 0;
    bool were_free[80];

    open_with_empty_blocks(20, 36);
    while (count < 80) {
        uint32_t n = space_take(&space, 80 - count, &first, &was_free);

        for (uint32_t i = 0; i < n; i++, count++) {
            numbers[count] = first + i;
            were_free[count] = was_free;
        }
    }
    while (count-- > 0)
        space_untake(&space, numbers[count], were_free[count]);
    ck_assert_uint_eq(space_empty_blocks(&space), 16);
    ck_assert_uint_eq(space_available(&space), 116);
    ck_assert_uint_eq(space_take(&space, 64, &first, &was_free), 16);
    ck_assert_uint_eq(first, 20);
    ck_assert_uint_eq(space_take(&space, 64, &first, &was_free), 64);
    ck_assert_uint_eq(first, 101);
    close_space();
}
END_TEST

HARNESS_MAIN("unit-space", neighbouring_empty_blocks_are_used_again_before_free_ones,
             as_many_empty_blocks_as_are_wanted_are_used_again,
             lone_empty_blocks_wait_until_there_are_no_free_ones,
             free_blocks_come_first_where_reuse_is_not_wanted,
             neighbours_that_were_not_found_are_looked_for_again_when_there_are_more,
             blocks_not_written_are_free_or_empty_again,
             what_was_there_at_the_start_is_empty_or_adopted,
             nothing_counts_as_released_after_a_restart,
             all_blocks_can_be_taken_once_and_put_back,
             only_empty_block_is_found_from_anywhere,
             block_is_empty_when_its_last_object_is_released,
             pinned_block_is_not_empty_before_its_last_pin_is_off,
             split_object_takes_and_pins_two_blocks,
             block_that_is_filled_less_than_half_is_sparse)
