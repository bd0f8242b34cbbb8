/* fault-reuse.c - blocks that are filled again, discarded, or had better not be filled
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "stored.h"

static bool first_block_is_blank(void)
{
    static const unsigned char blank[BLOCK_BYTES];

    return memcmp(stored_block(1), blank, sizeof blank) == 0;
}

START_TEST(blocks_that_could_not_be_written_are_not_the_first_to_be_tried_again)
{
    faulty_fail(faulty, BACKING_WRITE, UINT32_MAX, -EIO);
    ck_assert_int_eq(volume_writeback(volume), -EIO);
    faulty_fail(faulty, BACKING_WRITE, 0, 0);
    stored_write_back_all();
    ck_assert(first_block_is_blank());
}
END_TEST

/* Everything is written anew, and leaves again. */
static void write_back_twice(void)
{
    stored_write_back_all();
    ck_assert(!first_block_is_blank());
    memset(stored_block(1), 0, BLOCK_BYTES);
    stored_write_anew(0, 1);
    stored_write_back_all();
}

START_TEST(blocks_of_a_file_are_used_again_before_they_are_discarded)
{
    write_back_twice();
    ck_assert(!first_block_is_blank());
}
END_TEST

/* Where a write that was sent twice may be carried out late. */
START_TEST(blocks_of_a_server_are_not_the_first_to_be_used_again)
{
    struct faulty *other = faulty_new(STORE_BYTES);

    stored_teardown();
    faulty_backing(other)->outlives_us = true;
    stored_setup_on(other);
    write_back_twice();
    ck_assert(first_block_is_blank());
}
END_TEST

START_TEST(space_whose_discard_fails_is_used_again)
{
    unsigned char page[PAGE];

    stored_write_back_all();
    faulty_fail(faulty, BACKING_DISCARD, UINT32_MAX, -EIO);
    model_trim_both(&model, volume, 0, PAGES * PAGE);
    while (stored_stat(STAT_bd_used_size) > 0)
        sched_yield();
    ck_assert_uint_gt(faulty_count(faulty, BACKING_DISCARD), 0);
    ck_assert_uint_eq(stored_stat(STAT_bd_live_size), 0);
    for (unsigned i = 0; i < PAGES; i++) {
        sample_sized(OBJECT_BYTES, i + 500, page);
        model_write_both(&model, volume, i * PAGE, PAGE, page);
    }
    stored_write_back_all();
}
END_TEST

HARNESS_MAIN_WITH("fault-reuse", stored_setup, stored_teardown,
                  blocks_that_could_not_be_written_are_not_the_first_to_be_tried_again,
                  blocks_of_a_file_are_used_again_before_they_are_discarded,
                  blocks_of_a_server_are_not_the_first_to_be_used_again,
                  space_whose_discard_fails_is_used_again)
