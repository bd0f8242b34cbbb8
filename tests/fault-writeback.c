/* fault-writeback.c - a backing store that does not write, hangs or is full
 *
 * Whatever it does: no page is lost that is in RAM, no read gets wrong data, no space leaks.  Each
 * test ends with volume_check(), which compares the account of the space with the slots.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stored.h"
#include "told.h"

/* -- Writes that fail. -- */

/* All is given back in the end. */
static void wait_for_discards(void)
{
    while (stored_stat(STAT_bd_used_size) > 0)
        sched_yield();
}

static void fail_writes(int err)
{
    uint64_t failed = stored_stat(STAT_failed_writebacks);

    faulty_fail(faulty, BACKING_WRITE, UINT32_MAX, err);
    ck_assert_int_eq(volume_writeback(volume), err);
    ck_assert_uint_ge(stored_stat(STAT_failed_writebacks),
                      failed + OBJECTS_BYTES_MIN / SEGMENT_BYTES);
    ck_assert_uint_eq(stored_stat(STAT_bd_count), 0);
    ck_assert_uint_eq(stored_stat(STAT_bd_writes), 0);
    ck_assert_uint_eq(stored_stat(STAT_bd_evicted_size), 0);
    wait_for_discards();
    ck_assert_uint_eq(stored_stat(STAT_bd_live_size), 0);
    model_compare_all(&model, volume);
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), 0);
    harness_check(volume);

    faulty_fail(faulty, BACKING_WRITE, 0, 0);
    stored_write_back_all();
    ck_assert_uint_eq(stored_stat(STAT_bd_writes), PAGES);
}

START_TEST(pages_of_a_failed_write_stay_in_ram_and_a_retry_succeeds)
{
    fail_writes(-EIO);
}
END_TEST

START_TEST(pages_stay_in_ram_when_the_device_has_no_space_and_a_retry_succeeds)
{
    fail_writes(-ENOSPC);
}
END_TEST

START_TEST(one_failed_segment_does_not_keep_the_others)
{
    faulty_fail(faulty, BACKING_WRITE, 1, -EIO);
    ck_assert_int_eq(volume_writeback(volume), -EIO);
    ck_assert_uint_eq(stored_stat(STAT_failed_writebacks), 1);
    ck_assert_uint_gt(stored_stat(STAT_bd_count), 0);
    ck_assert_uint_lt(stored_stat(STAT_bd_count), PAGES);
    harness_check(volume);
    model_compare_all(&model, volume);
    stored_write_back();
}
END_TEST

START_TEST(requests_for_ram_go_on_while_writes_keep_failing)
{
    unsigned char page[PAGE];

    faulty_fail(faulty, BACKING_WRITE, UINT32_MAX, -EIO);
    ck_assert_int_eq(volume_writeback(volume), -EIO);
    for (unsigned i = 0; i < PAGES; i++) {
        ck_assert_int_eq(stored_read_page(i), 0);
        sample_sized(OBJECT_BYTES, i + 7000, page);
        model_write_both(&model, volume, i * PAGE, PAGE, page);
        model_write_both(&model, volume, i * PAGE + 100, 77, page + 9);
    }
    model_trim_both(&model, volume, 0, 10 * PAGE);
    ck_assert_int_eq(volume_writeback(volume), -EIO);
    ck_assert_uint_eq(stored_stat(STAT_failed_reads), 0);
    ck_assert_uint_eq(stored_stat(STAT_failed_writes), 0);
}
END_TEST

/* The header of the store is what is written first, and again until it is there. */
START_TEST(failed_header_is_written_again_but_not_without_pause)
{
    struct faulty *other = faulty_new(STORE_BYTES);

    faulty_hold(other, BACKING_WRITE);
    struct volume *second =
        harness_open_with(faulty_backing(other), "size", "8M", NULL);
    faulty_wait_held(other, BACKING_WRITE, 1);
    faulty_fail(other, BACKING_WRITE, 1000, -EIO);
    faulty_release(other, BACKING_WRITE, -EIO);
    faulty_wait_count(other, BACKING_WRITE, 2);
    faulty_wait_done(other, BACKING_WRITE, 2);
    unsigned before = faulty_count(other, BACKING_WRITE);
    model_compare_all(&model, volume); /* takes a while */
    ck_assert_uint_lt(faulty_count(other, BACKING_WRITE), before + 20);
    faulty_fail(other, BACKING_WRITE, 0, 0);
    ck_assert_int_eq(volume_writeback(second), 0);
    ck_assert(backing_header_is_ours((struct backing_header *)faulty_bytes(other)));
    harness_close(second);
}
END_TEST

/* -- Stores that are full. -- */

START_TEST(full_store_refuses_writers_and_takes_pages_again_after_a_trim)
{
    unsigned char page[PAGE];
    uint64_t n = 0;
    int r;

    stored_open_small("64M", 8 * MIB);
    for (;; n++) {
        sample_sized(OBJECT_BYTES, n, page);
        r = volume_write(volume, n * PAGE, PAGE, page);
        if (r < 0)
            break;
        model_write(&model, n * PAGE, PAGE, page);
    }
    ck_assert_int_eq(r, -ENOSPC);
    ck_assert_uint_gt(stored_stat(STAT_bd_count), 0);
    model_compare(&model, volume, 0, n * PAGE);

    /* At once, without any time for the writeback thread to notice by itself.  Not quite as much as
     * was there: where pages lie differs. */
    model_trim_both(&model, volume, 0, n / 2 * PAGE);
    for (uint64_t i = 0; i < n / 3; i++) {
        sample_sized(OBJECT_BYTES, i + 10000, page);
        ck_assert_msg(volume_write(volume, i * PAGE, PAGE, page) == 0,
                      "page %lu of %lu after the trim", (unsigned long)i,
                      (unsigned long)n / 3);
        model_write(&model, i * PAGE, PAGE, page);
    }
}
END_TEST

/* Nothing changes any more: after a few turns of the cleaner the store must be left alone. */
static unsigned count_of_turns(enum backing_op op)
{
    for (unsigned i = 0; i < 50; i++)
        stored_write_back();
    unsigned before = faulty_count(faulty, op);
    for (unsigned i = 0; i < 200; i++)
        stored_write_back();
    return faulty_count(faulty, op) - before;
}

START_TEST(cleaner_comes_to_rest)
{
    stored_fill_small();
    for (unsigned i = 0; i < SMALL_PAGES; i += 3)
        model_trim_both(&model, volume, i * PAGE, PAGE);
    ck_assert_uint_le(count_of_turns(BACKING_WRITE), 8);
    ck_assert_uint_gt(stored_stat(STAT_blocks_cleaned), 0);
}
END_TEST

START_TEST(cleaner_gives_up_on_damaged_blocks)
{
    stored_fill_small();
    for (unsigned i = 1; i < SMALL_STORE / BLOCK_BYTES; i++)
        stored_block(i)[5] ^= 0x80; /* the length of its first object */
    for (unsigned i = 0; i < SMALL_PAGES; i += 3)
        model_trim_both(&model, volume, i * PAGE, PAGE);
    ck_assert_uint_le(count_of_turns(BACKING_READ), 20);
    for (unsigned i = 1; i < SMALL_STORE / BLOCK_BYTES; i++)
        stored_block(i)[5] ^= 0x80; /* the length of its first object */
}
END_TEST

START_TEST(cleaner_gives_up_on_blocks_that_cannot_be_read)
{
    stored_fill_small();
    faulty_fail(faulty, BACKING_READ, UINT32_MAX, -EIO);
    for (unsigned i = 0; i < SMALL_PAGES; i += 3)
        model_trim_both(&model, volume, i * PAGE, PAGE);
    ck_assert_uint_le(count_of_turns(BACKING_READ), 20);
    faulty_fail(faulty, BACKING_READ, 0, 0);
}
END_TEST

/* -- Stores that hang. -- */

static void ask_for_writeback(void *opaque)
{
    (void)opaque;
    stored_write_back();
}

START_TEST(requests_for_ram_go_on_while_writes_hang)
{
    unsigned char page[PAGE];

    faulty_hold(faulty, BACKING_WRITE);
    struct actor *evictor = actor_start(ask_for_writeback, NULL);
    faulty_wait_held(faulty, BACKING_WRITE, 3);
    model_compare_all(&model, volume);
    for (unsigned i = 0; i < PAGES; i++) {
        sample_sized(OBJECT_BYTES, i + 7000, page);
        model_write_both(&model, volume, i * PAGE, PAGE, page);
        model_write_both(&model, volume, (PAGES + i) * PAGE + 3, 77, page);
    }
    model_trim_both(&model, volume, 0, 10 * PAGE);
    model_compare_all(&model, volume);
    faulty_release(faulty, BACKING_WRITE, 0);
    actor_go(evictor);
    /* All were used meanwhile: none of the copies is good for anything. */
    model_compare_all(&model, volume);
}
END_TEST

START_TEST(segments_under_way_and_the_room_that_is_left_are_counted)
{
    ck_assert_uint_eq(stored_stat(STAT_segments_in_use), 0);
    ck_assert_uint_eq(stored_stat(STAT_segments_free), SEGMENTS);
    ck_assert_uint_eq(stored_stat(STAT_bd_free_size), STORE_BYTES - BLOCK_BYTES);
    faulty_hold(faulty, BACKING_WRITE);
    struct actor *evictor = actor_start(ask_for_writeback, NULL);
    faulty_wait_held(faulty, BACKING_WRITE, 3);
    uint64_t in_use = stored_stat(STAT_segments_in_use);
    ck_assert_uint_ge(in_use, 3);
    ck_assert_uint_eq(stored_stat(STAT_segments_free), SEGMENTS - in_use);
    faulty_release(faulty, BACKING_WRITE, 0);
    actor_go(evictor);
    ck_assert_uint_eq(stored_stat(STAT_segments_in_use), 0);
    ck_assert_uint_eq(stored_stat(STAT_segments_free), SEGMENTS);
    ck_assert_uint_le(stored_stat(STAT_bd_free_size),
                      STORE_BYTES - BLOCK_BYTES - OBJECTS_BYTES_MIN);
}
END_TEST

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Four seconds and what a busy machine adds; the store would hang for ever. */
#define CLOSE_MAX_S 60

/* In a child: what a hanging store refers to stays for ever. */
static int close_in_time(struct volume *hanging)
{
    double start = now_s();

    volume_close(hanging);
    return now_s() - start <= CLOSE_MAX_S ? 0 : __LINE__;
}

static int close_while_the_header_hangs(void)
{
    struct faulty *other = faulty_new(STORE_BYTES);

    faulty_hold(other, BACKING_WRITE);
    struct volume *hanging =
        harness_open_with(faulty_backing(other), "size", "8M", NULL);
    faulty_wait_held(other, BACKING_WRITE, 1);
    return close_in_time(hanging);
}

static int close_while_segments_hang(void)
{
    unsigned char page[PAGE];

    stored_open_small("64M", 8 * MIB);
    faulty_wait_done(faulty, BACKING_WRITE, 1);
    faulty_hold(faulty, BACKING_WRITE);
    for (unsigned i = 0; faulty_count(faulty, BACKING_WRITE) < 2; i++) {
        sample_sized(OBJECT_BYTES, i, page);
        /* Who comes to the limit before the first segment is on its way waits in vain. */
        int r = volume_write(volume, i * PAGE, PAGE, page);
        if (r != 0 && r != -ENOSPC)
            return __LINE__;
    }
    faulty_wait_held(faulty, BACKING_WRITE, 1);
    return close_in_time(volume);
}

static int close_while_discards_hang(void)
{
    struct faulty *other = faulty_new(STORE_BYTES);
    struct volume *hanging =
        harness_open_with(faulty_backing(other), "size", "8M", NULL);
    unsigned char page[PAGE];

    sample_sized(OBJECT_BYTES, 1, page);
    if (volume_write(hanging, 0, PAGE, page) < 0 || volume_writeback(hanging) < 0)
        return __LINE__;
    faulty_hold(other, BACKING_DISCARD);
    volume_trim(hanging, 0, PAGE);
    faulty_wait_held(other, BACKING_DISCARD, 1);
    return close_in_time(hanging);
}

static int close_after_a_read_hangs(void)
{
    struct faulty *other = faulty_new(STORE_BYTES);
    struct volume *hanging =
        harness_open_with(faulty_backing(other), "size", "8M", NULL);
    unsigned char page[PAGE];

    sample_sized(OBJECT_BYTES, 1, page);
    if (volume_write(hanging, 0, PAGE, page) < 0 || volume_writeback(hanging) < 0)
        return __LINE__;
    faulty_hold(other, BACKING_READ);
    faulty_backing(other)->timeout_ms = 1000;
    double start = now_s();
    if (volume_read(hanging, 0, PAGE, page) != -EIO)
        return __LINE__;
    /* Waits are counted in whole milliseconds. */
    if (now_s() - start < 0.99 || now_s() - start > 60)
        return __LINE__;
    return close_in_time(hanging);
}

static void in_child(int (*fn)(void))
{
    /* No thread may be there when a child is made that makes some. */
    stored_teardown();
    volume = NULL;
    harness_in_child(fn);
}

START_TEST(close_is_bounded_while_the_header_hangs)
{
    in_child(close_while_the_header_hangs);
}
END_TEST

START_TEST(close_is_bounded_while_segments_hang)
{
    in_child(close_while_segments_hang);
}
END_TEST

START_TEST(close_is_bounded_while_discards_hang)
{
    in_child(close_while_discards_hang);
}
END_TEST

START_TEST(read_that_hangs_is_eio_and_close_is_bounded_after_it)
{
    in_child(close_after_a_read_hangs);
}
END_TEST

/* -- FAILED. -- */

START_TEST(store_that_keeps_failing_refuses_writers_at_once_and_recovers)
{
    unsigned char page[PAGE];
    uint64_t n = 0;
    int r;

    stored_open_small("64M", 8 * MIB);
    faulty_wait_done(faulty, BACKING_WRITE, 1);
    faulty_fail(faulty, BACKING_WRITE, UINT32_MAX, -EIO);
    for (;; n++) {
        sample_sized(OBJECT_BYTES, n, page);
        r = volume_write(volume, n * PAGE, PAGE, page);
        if (r < 0)
            break;
        model_write(&model, n * PAGE, PAGE, page);
    }
    ck_assert_int_eq(r, -ENOSPC);
    /* Once it is known, nobody waits for it. */
    double start = now_s();
    unsigned refused = 0;
    for (unsigned i = 0; i < 50; i++)
        refused += volume_write(volume, (n + i) * PAGE, PAGE, page) == -ENOSPC;
    ck_assert_uint_gt(refused, 40);
    model_zero_both(&model, volume, n * PAGE, 50 * PAGE);
    ck_assert_msg(now_s() - start < 100, "%g s",
                  now_s() - start); /* 50 waits take 500 */
    model_compare(&model, volume, 0, n * PAGE);

    faulty_fail(faulty, BACKING_WRITE, 0, 0);
    /* Waits for the retry.  Not all have room in so small a store. */
    ck_assert_int_eq(volume_writeback(volume), -ENOSPC);
    ck_assert_uint_gt(stored_stat(STAT_bd_count), 0);
    sample_sized(OBJECT_BYTES, n, page);
    model_write_both(&model, volume, n * PAGE, PAGE, page);
}
END_TEST

static void retry(void *opaque, struct event_base *base)
{
    (void)base;
    *(int *)opaque = volume_retry(volume);
}

/* The pause before the next attempt is 1.6 seconds then. */
START_TEST(retry_that_is_asked_for_does_not_wait_for_the_pause)
{
    int r = -1;

    faulty_fail(faulty, BACKING_WRITE, UINT32_MAX, -EIO);
    /* Who is told that a page stays where it is has seen a failure. */
    while (told_report(volume)->backing != BACKING_FAILED)
        ck_assert_int_eq(volume_writeback(volume), -EIO);
    ck_assert_int_eq(volume_writeback(volume), -EIO);
    faulty_fail(faulty, BACKING_WRITE, 0, 0);
    double start = now_s();
    ck_assert_int_eq(volume_call(volume, retry, &r), 0);
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(volume_writeback(volume), 0);
    ck_assert_int_eq(told_report(volume)->backing, BACKING_OK);
    ck_assert_msg(now_s() - start < 1.2, "%g s", now_s() - start);
}
END_TEST

/* -- Budgets. -- */

#define BUDGET (16 * MIB / 8) /* what the least there is lets through at once */
#define BUDGET_PAGES 1024u    /* raw: twice as much */

/* Segments are charged for when they are submitted, and several are in flight at a
 * time. (A file, since only what options name has a budget.) */
START_TEST(several_segments_in_flight_stay_within_the_budget)
{
    char path[] = "/tmp/zslot-store-XXXXXX";
    unsigned char page[PAGE];

    stored_teardown();
    close(mkstemp(path));
    struct volume *budgeted = harness_open(
        "size", "32M", "compressor", "none", "memory-limit", "64M", "backing", path,
        "backing-size", "64M", "writeback-limit", "16M/day", NULL);
    unlink(path);
    volume = NULL;
    for (unsigned i = 0; i < BUDGET_PAGES; i++) {
        sample_page(SAMPLE_RANDOM, i, page);
        ck_assert_int_eq(volume_write(budgeted, i * PAGE, PAGE, page), 0);
    }
    for (unsigned turn = 0; turn < 2; turn++) {
        ck_assert_int_eq(volume_writeback(budgeted), -EDQUOT);
        ck_assert_uint_le(harness_stat(budgeted, STAT_bd_written_size), BUDGET);
    }
    ck_assert_uint_gt(harness_stat(budgeted, STAT_bd_written_size),
                      BUDGET - SEGMENT_BYTES);
    ck_assert_uint_lt(harness_stat(budgeted, STAT_bd_count), BUDGET_PAGES);
    ck_assert_uint_eq(harness_stat(budgeted, STAT_failed_writebacks), 0);
    harness_close(budgeted);
}
END_TEST

/* -- What leaves RAM. -- */

static const char canary[] = "a secret that was deleted and must not leave";

static void make_canaries(unsigned pages)
{
    unsigned char page[PAGE];

    for (unsigned i = 0; i < pages; i++) {
        sample_page(SAMPLE_RANDOM, i, page);
        for (unsigned at = i % 64; at + sizeof canary < PAGE; at += 128)
            memcpy(page + at, canary, sizeof canary);
        model_write_both(&model, volume, i * PAGE, PAGE, page);
    }
}

static void check_no_canary(void)
{
    ck_assert(!faulty_contains(faulty, canary, sizeof canary));
}

START_TEST(pages_deleted_before_the_writeback_never_reach_the_store)
{
    stored_teardown();
    faulty = faulty_new(STORE_BYTES);
    volume = harness_open_with(faulty_backing(faulty), "size", "8M", "compressor",
                               "none", NULL);
    model_open(&model, SIZE);
    make_canaries(700);
    /* Now all buffers have had canaries in them. */
    faulty_wait_done(faulty, BACKING_WRITE, 1);
    faulty_fail(faulty, BACKING_WRITE, UINT32_MAX, -EIO);
    ck_assert_int_eq(volume_writeback(volume), -EIO);
    faulty_fail(faulty, BACKING_WRITE, 0, 0);
    check_no_canary();

    unsigned char page[PAGE];
    for (unsigned i = 0; i < 700; i++)
        if (i % 3 == 0) {
            sample_page(SAMPLE_RANDOM, i + 5000, page);
            model_write_both(&model, volume, i * PAGE, PAGE, page);
        } else if (i % 3 == 1)
            model_trim_both(&model, volume, i * PAGE, PAGE);
        else
            model_zero_both(&model, volume, i * PAGE, PAGE);
    stored_write_back();
    ck_assert_uint_gt(stored_stat(STAT_bd_count), 200);
    check_no_canary();

    /* Segments that are nearly empty, from buffers that were full. */
    for (unsigned i = 0; i < 12; i++) {
        sample_page(SAMPLE_RANDOM, i + 9000, page);
        model_write_both(&model, volume, (1000 + i) * PAGE, PAGE, page);
        stored_write_back();
    }
    check_no_canary();
}
END_TEST

HARNESS_MAIN_WITH("fault-writeback", stored_setup, stored_teardown,
                  pages_of_a_failed_write_stay_in_ram_and_a_retry_succeeds,
                  pages_stay_in_ram_when_the_device_has_no_space_and_a_retry_succeeds,
                  one_failed_segment_does_not_keep_the_others,
                  requests_for_ram_go_on_while_writes_keep_failing,
                  failed_header_is_written_again_but_not_without_pause,
                  full_store_refuses_writers_and_takes_pages_again_after_a_trim,
                  cleaner_comes_to_rest, cleaner_gives_up_on_damaged_blocks,
                  cleaner_gives_up_on_blocks_that_cannot_be_read,
                  requests_for_ram_go_on_while_writes_hang,
                  segments_under_way_and_the_room_that_is_left_are_counted,
                  close_is_bounded_while_the_header_hangs,
                  close_is_bounded_while_segments_hang,
                  close_is_bounded_while_discards_hang,
                  read_that_hangs_is_eio_and_close_is_bounded_after_it,
                  store_that_keeps_failing_refuses_writers_at_once_and_recovers,
                  retry_that_is_asked_for_does_not_wait_for_the_pause,
                  several_segments_in_flight_stay_within_the_budget,
                  pages_deleted_before_the_writeback_never_reach_the_store)
