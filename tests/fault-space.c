/* fault-space.c - stores that are short of blocks, for one reason or another
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "server.h"
#include "stored.h"
#include "volume-state.h"
#include "writeback-state.h"

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void put(uint32_t bytes, uint64_t at, uint64_t seed)
{
    unsigned char page[PAGE];

    sample_sized(bytes, seed, page);
    model_write_both(&model, volume, at * PAGE, PAGE, page);
}

static void put_raw(uint64_t at, uint64_t seed)
{
    unsigned char page[PAGE];

    sample_page(SAMPLE_RANDOM, seed, page);
    model_write_both(&model, volume, at * PAGE, PAGE, page);
}

static void open_limited(uint64_t backing_bytes)
{
    char limit[32];

    stored_teardown();
    snprintf(limit, sizeof limit, "%lu",
             (unsigned long)(harness_fixed_bytes("512M", "lz4") + 16 * MIB));
    faulty = faulty_new(backing_bytes);
    volume = harness_open_with(faulty_backing(faulty), "size", "512M", "compressor",
                               "lz4", "memory-limit", limit, NULL);
    model_open(&model, volume_size_bytes(volume));
}

START_TEST(cleaner_goes_on_after_reads_have_failed_for_a_while)
{
    stored_fill_small();
    faulty_fail(faulty, BACKING_READ, UINT32_MAX, -EIO);
    for (unsigned i = 0; i < SMALL_PAGES; i += 3)
        model_trim_both(&model, volume, i * PAGE, PAGE);
    double end = now_s() + 2;
    while (now_s() < end)
        stored_write_back();
    ck_assert_uint_eq(stored_stat(STAT_blocks_cleaned), 0);

    faulty_fail(faulty, BACKING_READ, 0, 0);
    end = now_s() + 100;
    while (stored_stat(STAT_blocks_cleaned) < 100) {
        stored_write_back();
        ck_assert_msg(now_s() < end, "the cleaner does not come back");
    }
}
END_TEST

static uint64_t fill_until_refused(void)
{
    unsigned char page[PAGE];
    uint64_t n;
    int r;

    for (n = 0;; n++) {
        sample_sized(SMALL_OBJECT_BYTES, n, page);
        r = volume_write(volume, n * PAGE, PAGE, page);
        if (r < 0)
            break;
        model_write(&model, n * PAGE, PAGE, page);
    }
    ck_assert_int_eq(r, -ENOSPC);
    return n;
}

/* What is sparse is in one region, and the cleaner looks at a part of the store at a
 * time. */
START_TEST(store_with_sparse_blocks_anywhere_is_not_full)
{
    uint64_t n;

    open_limited(128 * MIB);
    n = fill_until_refused();
    for (unsigned region = 0; region < 8; region++) {
        uint64_t first = 1000 + region * 9000;

        for (uint64_t i = 0; i < 3000; i += 3)
            model_trim_both(&model, volume, (first + i) * PAGE, PAGE);
        for (unsigned i = 0; i < 100; i++, n++)
            put(SMALL_OBJECT_BYTES, n, n);
    }
}
END_TEST

/* Not when the thread looks up next, once in a second. */
START_TEST(writeback_that_finds_the_store_full_says_so_at_once)
{
    open_limited(SMALL_STORE);
    for (uint64_t i = 0; i < 2 * SMALL_STORE / PAGE; i++)
        put_raw(i, i);
    double begun = now_s();
    for (unsigned i = 0; i < 6; i++)
        ck_assert_int_eq(volume_writeback(volume), -ENOSPC);
    ck_assert_msg(now_s() - begun < 3, "%g s", now_s() - begun);
}
END_TEST

static void try_writeback(void *opaque)
{
    (void)opaque;
    (void)volume_writeback(volume);
}

#define LATE_PAGES 200

static void write_late_pages(void *opaque)
{
    atomic_bool *ended = opaque;

    for (uint64_t i = 0; i < LATE_PAGES; i++)
        put(SMALL_OBJECT_BYTES, 16000 + i, i);
    *ended = true;
}

/* The verdict is older than the trim, and reaches a writer that came after it. */
START_TEST(write_after_a_trim_is_not_refused_for_an_earlier_fullness)
{
    atomic_bool ended = false;
    struct actor *writeback, *writer;

    stored_open_small("64M", 8 * MIB);
    fill_until_refused();
    halt_at(GATE_ROOM_FULL, HALT_ANY_SLOT);
    writeback = actor_start(try_writeback, NULL);
    halt_wait();
    /* Those that left first: what is in RAM stays there. */
    model_trim_both(&model, volume, 0, 1500 * PAGE);
    uint64_t waited = stored_stat(STAT_writers_waited);
    writer = actor_start(write_late_pages, &ended);
    while (stored_stat(STAT_writers_waited) == waited && !ended)
        sched_yield();
    /* It looks what became of its waiting several times in this. */
    double end = now_s() + 0.3;
    while (now_s() < end && !ended)
        sched_yield();
    halt_go();
    actor_go(writer);
    actor_go(writeback);
}
END_TEST

/* What fills the limit is the slot table: one page in each of its parts. */
START_TEST(writers_are_refused_at_once_when_nothing_in_ram_can_leave)
{
    unsigned char page[PAGE];
    char limit[32];
    uint64_t n;

    stored_teardown();
    snprintf(limit, sizeof limit, "%lu",
             (unsigned long)(harness_fixed_bytes("4G", "lz4") + 6 * MIB));
    faulty = faulty_new(16 * MIB);
    volume = harness_open_with(faulty_backing(faulty), "size", "4G", "compressor",
                               "lz4", "memory-limit", limit, NULL);
    sample_sized(SMALL_OBJECT_BYTES, 1, page);
    for (n = 0; volume_write(volume, n * MIB, PAGE, page) == 0; n++)
        ck_assert_uint_lt(n, 4000);
    double start = now_s();
    for (unsigned i = 1; i <= 20; i++)
        ck_assert_int_eq(volume_write(volume, (n + i) * MIB, PAGE, page), -ENOSPC);
    ck_assert_msg(now_s() - start < 100, "%g s", now_s() - start); /* 20 waits: 200 */
    harness_close(volume);
    volume = NULL;
}
END_TEST

/* An object of each length leaves the rest of its page free.  That counts as room, which is more
 * than what eviction leaves below a small limit; but no page fits there, and none comes of it by
 * compaction. */
START_TEST(writer_gets_room_though_what_is_free_lies_between_objects)
{
    unsigned char page[PAGE];
    uint64_t n = 0;

    stored_open_small("64M", 5 * MIB);
    for (uint32_t length = 48; length < 2000; length += 16)
        put(length, n, n), n++;
    double start = now_s();
    for (unsigned i = 0; i < 600; i++, n++) {
        /* They are wanted, and stay. */
        for (uint64_t small = 0; small < 120; small += 5)
            ck_assert_int_eq(stored_read_page((small + i) % 120), 0);
        sample_page(SAMPLE_RANDOM, (unsigned)n, page);
        model_write_both(&model, volume, n * PAGE, PAGE, page);
    }
    ck_assert_msg(now_s() - start < 60, "%g s", now_s() - start);
    ck_assert_uint_eq(stored_stat(STAT_failed_writes), 0);
}
END_TEST

static void write_raw_pages(void *opaque)
{
    unsigned char page[PAGE];

    (void)opaque;
    for (unsigned i = 0; i < 8000; i++) {
        sample_page(SAMPLE_RANDOM, i, page);
        MUST(volume_write(volume, i * PAGE, PAGE, page) == 0, "no write");
    }
}

/* It waits for what is on its way, and all that comes free is of use. */
START_TEST(writer_that_waits_for_a_slow_store_does_not_make_more_pages_leave)
{
    open_limited(128 * MIB);
    struct actor *writer = actor_start(write_raw_pages, NULL);
    for (unsigned turn = 1; turn <= 3; turn++) {
        faulty_hold(faulty, BACKING_WRITE);
        while (stored_stat(STAT_writers_waited) < turn)
            sched_yield();
        /* Through several slices of its waiting. */
        double end = now_s() + 0.3;
        while (now_s() < end)
            sched_yield();
        faulty_release(faulty, BACKING_WRITE, 0);
    }
    actor_go(writer);
    faulty_wait_all_done(faulty);
    ck_assert_uint_eq(volume->parts.writeback->useless_bytes, 0);
    volume_trim(volume, 0, 8000 * PAGE);
}
END_TEST

/* Each page goes alone, and takes a block with it. */
START_TEST(pages_that_left_one_by_one_share_blocks_in_the_end)
{
    stored_open_small("64M", 16 * MIB);
    for (uint64_t i = 0; i < 2000; i++) {
        put(100, i, i);
        stored_write_back();
    }
    ck_assert_uint_gt(stored_stat(STAT_blocks_cleaned), 0);
}
END_TEST

static _Atomic bool stop;

static void *keep_writing(void *opaque)
{
    unsigned char page[PAGE];
    uint64_t seed = (uintptr_t)opaque;

    while (!atomic_load(&stop)) {
        sample_sized(OBJECT_BYTES, seed++, page);
        (void)volume_write(volume, seed * 7919 % 16000 * PAGE, PAGE, page);
    }
    return NULL;
}

START_TEST(writeback_of_all_ends_while_pages_keep_leaving)
{
    pthread_t writers[2];

    open_limited(256 * MIB);
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < 2; i++)
        pthread_create(&writers[i], NULL, keep_writing, (void *)(i * 1000000));
    while (stored_stat(STAT_bd_writes) < 4000)
        sched_yield();
    for (unsigned i = 0; i < 10; i++)
        stored_write_back();
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(writers[i], NULL);
    harness_close(volume);
    model_close(&model);
    volume = NULL;
}
END_TEST

/* -- Writers that wait for room. -- */

static void open_with_room_for_some(void)
{
    unsigned char page[PAGE];

    stored_open_small("64M", 5 * MIB);
    faulty_hold(faulty, BACKING_WRITE);
    for (uint64_t i = 0; i < 300; i++) {
        sample_page(SAMPLE_RANDOM, i, page);
        model_write_both(&model, volume, i * PAGE, PAGE, page);
    }
}

static _Atomic bool ends;

static bool is_ending(void *opaque)
{
    (void)opaque;
    return ends;
}

/* Pages that are written are told to the model. */
static void write_until_let_go(void *opaque)
{
    unsigned char page[PAGE];
    int r = 0;

    (void)opaque;
    for (uint64_t i = 300; r == 0; i++) {
        sample_page(SAMPLE_RANDOM, i, page);
        r = volume_write(volume, i * PAGE, PAGE, page);
        if (r == 0)
            model_write(&model, i * PAGE, PAGE, page);
    }
    ck_assert_int_eq(r, -ESHUTDOWN);
}

START_TEST(writers_are_let_go_when_the_host_ends_while_the_store_hangs)
{
    static const struct volume_host host = {.is_ending = is_ending};

    open_with_room_for_some();
    volume_set_host(volume, &host);
    struct actor *writer = actor_start(write_until_let_go, NULL);
    while (stored_stat(STAT_writers_waited) == 0)
        sched_yield();
    ends = true;
    double end = now_s() + 5; /* or it would be ENOSPC after ten */
    actor_go(writer);
    ck_assert(now_s() < end);
    faulty_release(faulty, BACKING_WRITE, 0);
}
END_TEST

/* A clock that leaps ahead by seconds whenever this thread looks at it. */
static __thread time_t leap_s, leapt_s;

int clock_gettime(clockid_t id, struct timespec *now)
{
    int r = (int)syscall(SYS_clock_gettime, id, now);

    leapt_s += leap_s;
    now->tv_sec += leapt_s;
    return r;
}

#define MANY 12288u
static unsigned char *many;
static _Atomic bool is_written;

static void write_many(void *opaque)
{
    (void)opaque;
    leap_s = 3;
    int r = volume_write(volume, 0, MANY * PAGE, many);
    leap_s = 0;
    ck_assert_int_eq(r, -ENOSPC);
    is_written = true;
}

/* Room is always made in the end, so that no page by itself would wait too long. */
START_TEST(all_pages_of_a_request_wait_ten_seconds_together)
{
    const struct timespec moment = {.tv_nsec = 20000000};

    many = malloc(MANY * PAGE);
    ck_assert_ptr_nonnull(many);
    open_limited(128 * MIB);
    for (unsigned i = 0; i < MANY; i++)
        sample_page(SAMPLE_RANDOM, i, many + i * PAGE);
    struct actor *writer = actor_start(write_many, NULL);
    while (!is_written) {
        faulty_hold(faulty, BACKING_WRITE);
        nanosleep(&moment, NULL);
        faulty_release(faulty, BACKING_WRITE, 0);
    }
    actor_go(writer);
    ck_assert_uint_eq(stored_stat(STAT_writers_waited), 1);
    free(many);
    volume_trim(volume, 0, MANY * PAGE);
}
END_TEST

HARNESS_MAIN_WITH("fault-space", stored_setup, stored_teardown,
                  writer_gets_room_though_what_is_free_lies_between_objects,
                  writer_that_waits_for_a_slow_store_does_not_make_more_pages_leave,
                  cleaner_goes_on_after_reads_have_failed_for_a_while,
                  store_with_sparse_blocks_anywhere_is_not_full,
                  writeback_that_finds_the_store_full_says_so_at_once,
                  write_after_a_trim_is_not_refused_for_an_earlier_fullness,
                  writers_are_refused_at_once_when_nothing_in_ram_can_leave,
                  pages_that_left_one_by_one_share_blocks_in_the_end,
                  writeback_of_all_ends_while_pages_keep_leaving,
                  writers_are_let_go_when_the_host_ends_while_the_store_hangs,
                  all_pages_of_a_request_wait_ten_seconds_together)
