/* race-ahead.c - a request for several stored pages fetches them side by side
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ahead.h"
#include "stored.h"

#define SOME 40 /* pages: more than are fetched ahead at a time */

static unsigned char data[SOME * PAGE];
static int result;

static void read_some(void *opaque)
{
    (void)opaque;
    result = volume_read(volume, 0, sizeof data, data);
}

static void cache_some(void *opaque)
{
    (void)opaque;
    result = volume_cache(volume, 0, SOME * PAGE);
}

/* Until all that may be in flight at a time is. */
static struct actor *start_and_hold(actor_fn *fn)
{
    stored_write_back_all();
    faulty_hold(faulty, BACKING_READ);
    struct actor *actor = actor_start(fn, NULL);
    faulty_wait_held(faulty, BACKING_READ, AHEAD_MAX);
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), AHEAD_MAX);
    return actor;
}

static void end(struct actor *actor, int io_result)
{
    faulty_release(faulty, BACKING_READ, io_result);
    actor_go(actor);
}

START_TEST(long_read_of_stored_pages_fetches_several_at_a_time)
{
    end(start_and_hold(read_some), 0);
    ck_assert_int_eq(result, 0);
    ck_assert_mem_eq(data, model.bytes, sizeof data);
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), SOME);
    ck_assert_uint_eq(stored_stat(STAT_bd_reads), SOME);
    ck_assert_uint_eq(stored_stat(STAT_promotions), 0);
}
END_TEST

START_TEST(long_read_of_pages_in_ram_fetches_none)
{
    read_some(NULL);
    ck_assert_int_eq(result, 0);
    ck_assert_mem_eq(data, model.bytes, sizeof data);
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), 0);
}
END_TEST

/* Only from the first stored page on, and not those in RAM in between. */
START_TEST(long_read_of_some_stored_pages_fetches_these)
{
    stored_write_back_all();
    for (unsigned i = 0; i < SOME; i++)
        if (i < 7 || i % 3 == 0)
            model_write_both(&model, volume, i * PAGE, PAGE, model.bytes + i * PAGE);
    read_some(NULL);
    ck_assert_int_eq(result, 0);
    ck_assert_mem_eq(data, model.bytes, sizeof data);
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), 22);
}
END_TEST

/* The model has the new content at once; what the read returns may be either. */
static void check_either(unsigned page, const unsigned char *former)
{
    const unsigned char *is = data + page * PAGE;

    ck_assert(memcmp(is, former, PAGE) == 0 ||
              memcmp(is, model.bytes + page * PAGE, PAGE) == 0);
}

START_TEST(write_and_trim_while_a_long_read_fetches_ahead)
{
    static unsigned char former[SOME * PAGE];
    unsigned char page[PAGE];
    struct actor *reader = start_and_hold(read_some);

    memcpy(former, model.bytes, sizeof former);
    for (unsigned i = 0; i < SOME; i += 2) {
        sample_sized(OBJECT_BYTES, 7000 + i, page);
        if (i % 4)
            model_write_both(&model, volume, i * PAGE, PAGE, page);
        else
            model_trim_both(&model, volume, i * PAGE, PAGE);
    }
    end(reader, 0);
    ck_assert_int_eq(result, 0);
    for (unsigned i = 0; i < SOME; i++)
        check_either(i, former + i * PAGE);
    read_some(NULL);
    ck_assert_mem_eq(data, model.bytes, sizeof data);
}
END_TEST

START_TEST(write_of_the_page_after_its_fetch_ahead_has_landed)
{
    unsigned char page[PAGE];

    stored_write_back_all();
    /* The reader has the first page's bytes, and those behind it are there too. */
    struct actor *reader = actor_stop(GATE_FETCH_JOINED, read_some, NULL);
    if (faulty_count(faulty, BACKING_READ) > 0)
        faulty_wait_all_done(faulty);
    sample_sized(OBJECT_BYTES, 8000, page);
    model_write_both(&model, volume, 5 * PAGE, PAGE, page);
    actor_go(reader);
    ck_assert_int_eq(result, 0);
    read_some(NULL);
    ck_assert_mem_eq(data, model.bytes, sizeof data);
}
END_TEST

START_TEST(error_of_a_fetch_ahead_is_that_read_s_only)
{
    end(start_and_hold(read_some), -EIO);
    ck_assert_int_eq(result, -EIO);
    ck_assert_uint_eq(stored_stat(STAT_failed_reads), 1);
    faulty_wait_all_done(faulty);
    read_some(NULL);
    ck_assert_int_eq(result, 0);
    ck_assert_mem_eq(data, model.bytes, sizeof data);
}
END_TEST

/* Into a buffer of its own. */
static void read_aside(void *opaque)
{
    unsigned char *aside = malloc(SOME * PAGE);

    (void)opaque;
    ck_assert_ptr_nonnull(aside);
    ck_assert_int_eq(volume_read(volume, 0, SOME * PAGE, aside), 0);
    ck_assert_mem_eq(aside, model.bytes, SOME * PAGE);
    free(aside);
}

/* Those who need one page now find a fetch for it, however many long reads there are. */
START_TEST(long_reads_leave_fetches_to_others)
{
    enum { READERS = 8 };
    struct actor *readers[READERS];
    unsigned char page[PAGE];

    stored_write_back_all();
    faulty_hold(faulty, BACKING_READ);
    for (unsigned i = 0; i < READERS; i++)
        readers[i] = actor_start(read_aside, NULL);
    faulty_wait_held(faulty, BACKING_READ, AHEAD_MAX);
    faulty_release(faulty, BACKING_READ, 0);
    ck_assert_int_eq(volume_read(volume, (PAGES - 1) * PAGE, PAGE, page), 0);
    ck_assert_mem_eq(page, model.bytes + (PAGES - 1) * PAGE, PAGE);
    for (unsigned i = 0; i < READERS; i++)
        actor_go(readers[i]);
}
END_TEST

/* -- cache -- */

START_TEST(cache_brings_stored_pages_back_to_ram)
{
    end(start_and_hold(cache_some), 0);
    ck_assert_int_eq(result, 0);
    ck_assert_uint_eq(stored_stat(STAT_promotions), SOME);
    ck_assert_uint_eq(stored_stat(STAT_bd_count), PAGES - SOME);
    unsigned reads = faulty_count(faulty, BACKING_READ);
    ck_assert_uint_eq(reads, SOME);
    read_some(NULL);
    ck_assert_mem_eq(data, model.bytes, sizeof data);
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), reads);
    ck_assert_int_eq(volume_cache(volume, 0, SOME * PAGE), 0);
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), reads);
}
END_TEST

START_TEST(cache_of_parts_of_pages_brings_the_pages)
{
    stored_write_back_all();
    ck_assert_int_eq(volume_cache(volume, 3 * PAGE + 100, PAGE), 0);
    ck_assert_int_eq(volume_cache(volume, 9 * PAGE, 0), 0);
    ck_assert_uint_eq(stored_stat(STAT_promotions), 2);
}
END_TEST

START_TEST(cache_of_a_page_that_cannot_be_read_is_eio_and_changes_nothing)
{
    stored_write_back_all();
    faulty_fail(faulty, BACKING_READ, 1, -EIO);
    ck_assert_int_eq(volume_cache(volume, 0, PAGE), -EIO);
    ck_assert_uint_eq(stored_stat(STAT_bd_count), PAGES);
    ck_assert_int_eq(stored_read_page(0), 0);
}
END_TEST

START_TEST(cache_without_room_is_no_error)
{
    stored_write_back_all();
    harness_fail(GATE_POOL_ALLOC, 1, true, -ENOSPC);
    ck_assert_int_eq(volume_cache(volume, 0, SOME * PAGE), 0);
    harness_fail_end();
    ck_assert_uint_eq(stored_stat(STAT_promotions), 0);
    ck_assert_uint_le(faulty_count(faulty, BACKING_READ), AHEAD_MAX);
}
END_TEST

START_TEST(trim_while_cache_fetches_leaves_zeroes)
{
    struct actor *actor = start_and_hold(cache_some);

    model_trim_both(&model, volume, 0, SOME * PAGE);
    end(actor, 0);
    ck_assert_int_eq(result, 0);
    ck_assert_uint_eq(stored_stat(STAT_promotions), 0);
}
END_TEST

HARNESS_MAIN_WITH("race-ahead", stored_setup, stored_teardown,
                  long_read_of_stored_pages_fetches_several_at_a_time,
                  long_read_of_pages_in_ram_fetches_none,
                  long_read_of_some_stored_pages_fetches_these,
                  write_and_trim_while_a_long_read_fetches_ahead,
                  write_of_the_page_after_its_fetch_ahead_has_landed,
                  error_of_a_fetch_ahead_is_that_read_s_only,
                  long_reads_leave_fetches_to_others,
                  cache_brings_stored_pages_back_to_ram,
                  cache_of_parts_of_pages_brings_the_pages,
                  cache_of_a_page_that_cannot_be_read_is_eio_and_changes_nothing,
                  cache_without_room_is_no_error,
                  trim_while_cache_fetches_leaves_zeroes)
