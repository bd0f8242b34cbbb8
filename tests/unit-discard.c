/* unit-discard.c - which empty blocks are discarded, and when
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>

#include "discard.h"
#include "harness.h"

#define BLOCKS 20000u
#define USED 15000u /* the first ones */
#define RESERVE 100u

static struct memory memory;
static struct space space;
static unsigned woken;

/* A store that is asked, and answers when told to. */
static struct backing_io *asked[DISCARDS_MAX];
static unsigned asked_count;

static void ask(struct backing *backing, struct backing_io *io)
{
    (void)backing;
    ck_assert_int_eq(io->op, BACKING_DISCARD);
    ck_assert_uint_lt(asked_count, DISCARDS_MAX);
    asked[asked_count++] = io;
}

static const struct backing_ops ops = {.name = "asked", .submit = ask};
static struct backing backing = {.ops = &ops};

static void wake(void *opaque)
{
    ck_assert_ptr_eq(opaque, &woken);
    woken++;
}

static struct discards discards;

static void setup(void)
{
    uint32_t first;
    bool was_free;

    memory_init(&memory, UINT64_MAX);
    ck_assert_int_eq(
        space_open(&space, (BLOCKS + 1) * (uint64_t)BLOCK_BYTES, &memory, false), 0);
    ck_assert_int_eq(space_start(&space), 0);
    ck_assert_uint_eq(space_take(&space, USED, &first, &was_free), USED);
    ck_assert_uint_eq(first, 1);
    space_set_reuses(&space, true);
    asked_count = woken = 0;
    discards = (struct discards){
        .backing = &backing, .space = &space, .wake = wake, .opaque = &woken};
    discards_step(&discards, RESERVE, 1);
}

static void teardown(void)
{
    space_close(&space);
}

static void make_empty(uint32_t first, uint32_t count)
{
    space_put_back(&space, first, count, false);
}

/* How many blocks the discards are of that were asked for; they are done. */
static uint32_t answer(int result)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < asked_count; i++) {
        bytes += asked[i]->bytes;
        asked[i]->done(asked[i], result);
    }
    asked_count = 0;
    return (uint32_t)(bytes / BLOCK_BYTES);
}

/* Steps from FROM_MS on, until it is TO_MS: how many blocks were discarded. */
static uint32_t run(uint64_t from_ms, uint64_t to_ms)
{
    uint32_t blocks = 0;

    for (uint64_t ms = from_ms; ms <= to_ms; ms += 50) {
        discards_step(&discards, RESERVE, ms);
        blocks += answer(0);
    }
    return blocks;
}

START_TEST(what_stays_empty_is_discarded_after_a_while)
{
    make_empty(100, 7);
    ck_assert_uint_eq(run(10, DISCARD_AFTER_MS - 50), 0);
    ck_assert_uint_eq(run(DISCARD_AFTER_MS, 2 * DISCARD_AFTER_MS + 50), 7);
    ck_assert_uint_eq(space_used_blocks(&space), USED - 7);
    ck_assert_uint_eq(woken, 1);
    ck_assert_uint_eq(run(3 * DISCARD_AFTER_MS, 9 * DISCARD_AFTER_MS), 0);
    ck_assert(!discards_are_busy(&discards));
}
END_TEST

/* As pages that leave again and again do: none is discarded, however long that goes on. */
START_TEST(blocks_that_are_used_again_before_long_are_not_discarded)
{
    uint32_t first;
    bool was_free;

    for (uint64_t ms = 10; ms < 20 * DISCARD_AFTER_MS; ms += DISCARD_AFTER_MS / 4) {
        make_empty(1, 1000);
        ck_assert_uint_eq(run(ms, ms), 0);
        ck_assert_uint_eq(space_take(&space, 1000, &first, &was_free), 1000);
        ck_assert_uint_eq(first, 1);
        ck_assert_uint_eq(run(ms + DISCARD_AFTER_MS / 8, ms + DISCARD_AFTER_MS / 8), 0);
    }
    ck_assert_uint_eq(space_used_blocks(&space), USED);
}
END_TEST

/* COUNT empty blocks are in use from MS on, for a while. */
static void use_for_a_while(uint32_t count, uint64_t ms)
{
    uint32_t first[8], counts[8];
    unsigned runs = 0;
    bool was_free;

    for (uint32_t taken = 0; taken < count; taken += counts[runs++]) {
        ck_assert_uint_lt(runs, 8);
        counts[runs] = space_take(&space, count - taken, &first[runs], &was_free);
        ck_assert(counts[runs] > 0 && !was_free);
    }
    ck_assert_uint_eq(run(ms, ms), 0);
    while (runs-- > 0)
        make_empty(first[runs], counts[runs]);
    ck_assert_uint_eq(run(ms + 50, ms + 50), 0);
}

/* Of 3000, 2000 are used now and then. */
START_TEST(what_was_too_much_all_the_time_is_discarded)
{
    uint64_t ms = 2 * DISCARD_AFTER_MS; /* since when they have been there */

    make_empty(1, 3000);
    ck_assert_uint_eq(run(ms, ms), 0);
    use_for_a_while(2000, ms + 100);
    use_for_a_while(2000, ms + 500);
    ck_assert_uint_eq(run(ms + 600, ms + DISCARD_AFTER_MS - 50), 0);
    ms += DISCARD_AFTER_MS;
    ck_assert_uint_eq(run(ms, ms), 1000);
    use_for_a_while(2000, ms + 100);
    ck_assert_uint_eq(run(ms + 200, ms + 2 * DISCARD_AFTER_MS), 2000);
}
END_TEST

/* Eight at a time, of 1024 blocks each, as long as nobody answers. */
START_TEST(discards_are_bounded_in_size_and_number)
{
    make_empty(1, USED - 1);
    discards_step(&discards, RESERVE, 2 * DISCARD_AFTER_MS);
    discards_step(&discards, RESERVE, 3 * DISCARD_AFTER_MS);
    ck_assert_uint_eq(asked_count, DISCARDS_MAX);
    ck_assert(discards_are_busy(&discards));
    for (unsigned i = 0; i < asked_count; i++)
        ck_assert_uint_eq(asked[i]->bytes, 1024 * BLOCK_BYTES);
    discards_step(&discards, RESERVE, 3 * DISCARD_AFTER_MS);
    ck_assert_uint_eq(asked_count, DISCARDS_MAX);
    ck_assert_uint_eq(answer(-EIO), DISCARDS_MAX * 1024);
    discards_step(&discards, RESERVE, 3 * DISCARD_AFTER_MS);
    ck_assert_uint_eq(answer(-EIO), USED - 1 - DISCARDS_MAX * 1024);
    ck_assert_uint_eq(space_available(&space), BLOCKS - 1);
    ck_assert_uint_eq(space_empty_blocks(&space), 0);
}
END_TEST

START_TEST(all_is_discarded_at_once_when_there_is_a_hurry)
{
    make_empty(1, 3000);
    discards_hurry(&discards);
    ck_assert_uint_eq(run(10, 10), 3000);
}
END_TEST

/* Of 4500 that are available, segments have been promised 4000. */
START_TEST(blocks_that_others_were_promised_are_not_discarded)
{
    uint32_t first;
    bool was_free;

    ck_assert_uint_eq(space_take(&space, BLOCKS, &first, &was_free), BLOCKS - USED);
    make_empty(1, 4500);
    discards_step(&discards, 4000, 2 * DISCARD_AFTER_MS);
    discards_step(&discards, 4000, 3 * DISCARD_AFTER_MS);
    ck_assert_uint_eq(space_available(&space), 4000);
    ck_assert_uint_eq(answer(0), 500);
}
END_TEST

/* Meanwhile they are needed after all. */
START_TEST(surplus_that_is_used_again_is_none)
{
    uint32_t first;
    bool was_free;

    make_empty(1, 1000);
    discards_step(&discards, BLOCKS, 2 * DISCARD_AFTER_MS);
    discards_step(&discards, BLOCKS, 3 * DISCARD_AFTER_MS);
    ck_assert_uint_eq(discards.surplus, 1000);
    ck_assert_uint_eq(space_take(&space, 900, &first, &was_free), 900);
    discards_step(&discards, BLOCKS, 3 * DISCARD_AFTER_MS);
    make_empty(first, 900);
    ck_assert_uint_eq(run(3 * DISCARD_AFTER_MS + 1, 3 * DISCARD_AFTER_MS + 1), 100);
}
END_TEST

/* When little is left of the store it will be used again soon. */
START_TEST(blocks_that_are_short_are_not_discarded)
{
    uint32_t first;
    bool was_free;

    ck_assert_uint_eq(space_take(&space, BLOCKS, &first, &was_free), BLOCKS - USED);
    make_empty(1, BLOCKS / 8 - 1);
    ck_assert_uint_eq(run(10, 9 * DISCARD_AFTER_MS), 0);
    make_empty(BLOCKS / 8, 1);
    ck_assert_uint_eq(run(10 * DISCARD_AFTER_MS, 12 * DISCARD_AFTER_MS), BLOCKS / 8);
}
END_TEST

HARNESS_MAIN_WITH("unit-discard", setup, teardown,
                  what_stays_empty_is_discarded_after_a_while,
                  blocks_that_are_used_again_before_long_are_not_discarded,
                  what_was_too_much_all_the_time_is_discarded,
                  discards_are_bounded_in_size_and_number,
                  all_is_discarded_at_once_when_there_is_a_hurry,
                  blocks_that_others_were_promised_are_not_discarded,
                  surplus_that_is_used_again_is_none,
                  blocks_that_are_short_are_not_discarded)
