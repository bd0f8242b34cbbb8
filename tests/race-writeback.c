/* race-writeback.c - writeback and fetch of a page, and what may come in their middle
 *
 *   copied     the object is in a segment, which is not submitted
 *   in flight  the segment is on its way to the backing store
 *   landed     it is there, no slot is switched
 *   switched   the slot refers to it, the pool's object is not freed
 *   failed     it will not get there
 *
 * and of a stored page:
 *
 *   fetch in flight, landed (the bytes are there, the slot is not looked at again), failed
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "backing-faulty.h"
#include "race.h"
#include "sample.h"

#define STORE_BYTES (16 * MIB)

static struct faulty *faulty;

static uint64_t stat_of(enum stat_id stat)
{
    return harness_stat(race_volume, stat);
}

static void write_back(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(volume_writeback(race_volume), 0);
}

static void setup(void)
{
    faulty = faulty_new(STORE_BYTES);
    race_setup_with(faulty_backing(faulty));
    faulty_wait_done(faulty, BACKING_WRITE, 1);
}

static void teardown(void)
{
    if (!race_volume)
        return;
    ck_assert_uint_eq(faulty_illegal(faulty), 0);
    ck_assert_uint_eq(stat_of(STAT_corrupt_objects), 0);
    race_teardown();
}

/* -- The stages of a writeback.  SECOND runs in the middle, in a thread of its own if it may have
 * to wait for the writeback thread. -- */

typedef void stage_fn(actor_fn *second);

static void at_gate(enum gate point, actor_fn *second)
{
    halt_at(point, point == GATE_SEGMENT_SWITCHED ? RACE_PAGE : HALT_ANY_SLOT);
    struct actor *evictor = actor_start(write_back, NULL);
    halt_wait();
    second(NULL);
    halt_go();
    actor_go(evictor);
}

static void copied(actor_fn *second)
{
    at_gate(GATE_SEGMENT_COPIED, second);
}

static void landed(actor_fn *second)
{
    at_gate(GATE_SEGMENT_LANDED, second);
}

static void switched(actor_fn *second)
{
    at_gate(GATE_SEGMENT_SWITCHED, second);
}

static void end_in_flight(actor_fn *second, int result)
{
    faulty_hold(faulty, BACKING_WRITE);
    struct actor *evictor = actor_start(write_back, NULL);
    faulty_wait_held(faulty, BACKING_WRITE, 1);
    second(NULL);
    faulty_release(faulty, BACKING_WRITE, result);
    actor_go(evictor);
}

static void in_flight(actor_fn *second)
{
    end_in_flight(second, 0);
}

static void failed(actor_fn *second)
{
    end_in_flight(second, -EIO);
    ck_assert_uint_eq(stat_of(STAT_failed_writebacks), 1);
}

/* What the second actors do, and what there must be afterwards. */
static void expect_a(void)
{
    race_expect(race_a);
}

static void expect_part(void)
{
    race_expect_other_part();
}

static void expect_nothing_new(void)
{
}

/* Before its slot is switched a page is in the pool: who was there keeps it there (rule S4). */
static void expect_kept(bool is_kept)
{
    unsigned reads = faulty_count(faulty, BACKING_READ);

    race_read_old(NULL);
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), reads + !is_kept);
}

#define DURING_WRITEBACK(second_name, stage, second, expect)                           \
    START_TEST(second_name##_while_the_writeback_is_##stage)                           \
    {                                                                                  \
        stage(second);                                                                 \
        expect();                                                                      \
    }                                                                                  \
    END_TEST

#define DURING_ANY_WRITEBACK(second_name, second, expect)                              \
    DURING_WRITEBACK(second_name, copied, second, expect)                              \
    DURING_WRITEBACK(second_name, in_flight, second, expect)                           \
    DURING_WRITEBACK(second_name, landed, second, expect)                              \
    DURING_WRITEBACK(second_name, failed, second, expect)

DURING_ANY_WRITEBACK(write, race_write_a, expect_a)
DURING_ANY_WRITEBACK(write_back_and_forth, race_write_back_and_forth,
                     expect_nothing_new)
DURING_ANY_WRITEBACK(trim, race_trim, race_expect_zeroes)
DURING_ANY_WRITEBACK(zero, race_zero, race_expect_zeroes)
DURING_ANY_WRITEBACK(partial_write, race_write_other_part, expect_part)
DURING_ANY_WRITEBACK(read, race_read_old, expect_nothing_new)
DURING_ANY_WRITEBACK(place_reuse, race_take_the_place, race_expect_zeroes)

DURING_WRITEBACK(write, switched, race_write_a, expect_a)
DURING_WRITEBACK(trim, switched, race_trim, race_expect_zeroes)
DURING_WRITEBACK(zero, switched, race_zero, race_expect_zeroes)

static void make_holes_and_compact(void *opaque)
{
    race_make_holes();
    race_compact(opaque);
}

DURING_ANY_WRITEBACK(compaction, make_holes_and_compact, expect_nothing_new)
DURING_WRITEBACK(compaction, switched, make_holes_and_compact, expect_nothing_new)

/* A page that was read while its copy was under way stays in RAM; nobody needs that copy. */
START_TEST(read_during_writeback_keeps_the_page_in_ram)
{
    in_flight(race_read_old);
    expect_kept(true);
    ck_assert_uint_eq(stat_of(STAT_bd_count), RACE_OTHERS - 1);
    write_back(NULL);
    ck_assert_uint_eq(stat_of(STAT_bd_count), RACE_OTHERS);
    expect_kept(false);
}
END_TEST

/* The segment's only page is gone before it lands: the segment is discarded. */
START_TEST(trim_during_writeback_of_the_last_page_releases_the_segment)
{
    ck_assert_int_eq(volume_trim(race_volume, 0, RACE_SIZE), 0);
    model_zero(&race_model, 0, RACE_SIZE);
    race_write_a(NULL);
    in_flight(race_trim);
    faulty_wait_done(faulty, BACKING_DISCARD, 1);
    ck_assert_uint_eq(stat_of(STAT_bd_used_size), 0);
}
END_TEST

/* The slot is switched, so a read needs the writeback thread, which is held up. */
START_TEST(read_after_the_writeback_switched_fetches)
{
    halt_at(GATE_SEGMENT_SWITCHED, RACE_PAGE);
    struct actor *evictor = actor_start(write_back, NULL);
    halt_wait();
    struct actor *reader = actor_start(race_read_old, NULL);
    faulty_wait_count(faulty, BACKING_READ, 1);
    halt_go();
    actor_go(reader);
    actor_go(evictor);
}
END_TEST

START_TEST(partial_write_after_the_writeback_switched_fetches)
{
    halt_at(GATE_SEGMENT_SWITCHED, RACE_PAGE);
    struct actor *evictor = actor_start(write_back, NULL);
    halt_wait();
    struct actor *writer = actor_start(race_write_other_part, NULL);
    faulty_wait_count(faulty, BACKING_READ, 1);
    halt_go();
    actor_go(writer);
    actor_go(evictor);
    race_expect_other_part();
}
END_TEST

/* Two copies of two versions of a page are under way; both orders of landing. */
static void evict_twice(int first_result)
{
    faulty_hold(faulty, BACKING_WRITE);
    struct actor *first = actor_start(write_back, NULL);
    faulty_wait_held(faulty, BACKING_WRITE, 1);
    race_write_a(NULL);
    race_expect(race_a);
    struct actor *second = actor_start(write_back, NULL);
    faulty_wait_held(faulty, BACKING_WRITE, 2);
    faulty_release(faulty, BACKING_WRITE, first_result);
    actor_go(first);
    actor_go(second);
}

START_TEST(second_eviction_while_the_first_is_in_flight_stores_the_new_page)
{
    evict_twice(0);
    ck_assert_uint_eq(stat_of(STAT_bd_count), RACE_OTHERS);
    ck_assert_uint_eq(stat_of(STAT_bd_writes), RACE_OTHERS);
}
END_TEST

START_TEST(second_eviction_while_the_first_is_in_flight_and_both_fail)
{
    evict_twice(-EIO);
    ck_assert_uint_eq(stat_of(STAT_bd_count), 0);
    write_back(NULL);
    ck_assert_uint_eq(stat_of(STAT_bd_count), RACE_OTHERS);
}
END_TEST

static void second_eviction_at(enum gate point)
{
    halt_at(point, HALT_ANY_SLOT);
    struct actor *first = actor_start(write_back, NULL);
    halt_wait();
    race_write_a(NULL);
    race_expect(race_a);
    struct actor *second = actor_start(write_back, NULL);
    halt_go();
    actor_go(first);
    actor_go(second);
    ck_assert_uint_eq(stat_of(STAT_bd_count), RACE_OTHERS);
}

START_TEST(second_eviction_while_the_first_is_copied_stores_the_new_page)
{
    second_eviction_at(GATE_SEGMENT_COPIED);
}
END_TEST

START_TEST(second_eviction_while_the_first_has_landed_stores_the_new_page)
{
    second_eviction_at(GATE_SEGMENT_LANDED);
}
END_TEST

/* -- Fetches. -- */

/* All is stored; a reader's fetch of the page is held; SECOND; the fetch ends with RESULT. */
static void during_fetch(actor_fn *reader_fn, actor_fn *second, bool second_waits,
                         int result)
{
    struct actor *other = NULL;

    write_back(NULL);
    faulty_hold(faulty, BACKING_READ);
    watch_from(GATE_FETCH_JOINED, RACE_PAGE);
    struct actor *reader = actor_start(reader_fn, NULL);
    faulty_wait_held(faulty, BACKING_READ, 1);
    watch_wait(1);
    if (second_waits) {
        other = actor_start(second, NULL);
        watch_wait(2);
    } else
        second(NULL);
    faulty_release(faulty, BACKING_READ, result);
    actor_go(reader);
    if (other)
        actor_go(other);
    watch_end();
}

/* The same while the bytes have arrived and the slot has not been looked at again. */
static void after_fetch(actor_fn *reader_fn, actor_fn *second)
{
    write_back(NULL);
    halt_at(GATE_FETCH_READ, RACE_PAGE);
    struct actor *reader = actor_start(reader_fn, NULL);
    halt_wait();
    second(NULL);
    halt_go();
    actor_go(reader);
}

static void read_is_eio(void *opaque)
{
    unsigned char page[PAGE];

    (void)opaque;
    ck_assert_int_eq(volume_read(race_volume, RACE_AT, PAGE, page), -EIO);
}

#define DURING_FETCH(second_name, second, reader, expect)                              \
    START_TEST(second_name##_while_a_fetch_is_in_flight)                               \
    {                                                                                  \
        during_fetch(reader, second, false, 0);                                        \
        expect();                                                                      \
        ck_assert_uint_eq(stat_of(STAT_failed_reads), 0);                              \
    }                                                                                  \
    END_TEST                                                                           \
    START_TEST(second_name##_while_a_fetch_has_landed)                                 \
    {                                                                                  \
        after_fetch(reader, second);                                                   \
        expect();                                                                      \
        ck_assert_uint_eq(stat_of(STAT_failed_reads), 0);                              \
    }                                                                                  \
    END_TEST                                                                           \
    START_TEST(second_name##_while_a_fetch_fails)                                      \
    {                                                                                  \
        /* What failed is a page that is gone: it is nobody's error. */                \
        during_fetch(reader, second, false, -EIO);                                     \
        expect();                                                                      \
        ck_assert_uint_eq(stat_of(STAT_failed_reads), 0);                              \
    }                                                                                  \
    END_TEST

DURING_FETCH(write, race_write_a, race_read_a, expect_a)
DURING_FETCH(trim, race_trim, race_read_zeroes, race_expect_zeroes)
DURING_FETCH(zero, race_zero, race_read_zeroes, race_expect_zeroes)
DURING_FETCH(place_reuse, race_take_the_place, race_read_zeroes, race_expect_zeroes)

/* The page goes, and comes back to the backing store at another address, while the former one
 * is still being read; the reader gets the new one, by a read of its own. */
static void write_a_and_evict(void *opaque)
{
    race_write_a(opaque);
    write_back(opaque);
}

START_TEST(second_eviction_while_a_fetch_is_in_flight)
{
    during_fetch(race_read_a, write_a_and_evict, false, 0);
    race_expect(race_a);
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), 2);
}
END_TEST

START_TEST(second_eviction_while_a_fetch_fails)
{
    during_fetch(race_read_a, write_a_and_evict, false, -EIO);
    race_expect(race_a);
    ck_assert_uint_eq(stat_of(STAT_failed_reads), 0);
}
END_TEST

START_TEST(compaction_while_a_fetch_is_in_flight)
{
    during_fetch(race_read_old, race_compact, false, 0);
}
END_TEST

START_TEST(compaction_while_a_fetch_has_landed)
{
    after_fetch(race_read_old, race_compact);
}
END_TEST

START_TEST(compaction_while_a_fetch_fails)
{
    during_fetch(read_is_eio, race_compact, false, -EIO);
    ck_assert_uint_eq(stat_of(STAT_failed_reads), 1);
}
END_TEST

/* The partial write may come first. */
static void read_with_or_without_the_part(void *opaque)
{
    unsigned char page[PAGE], merged[PAGE];

    (void)opaque;
    memcpy(merged, race_old, PAGE);
    memcpy(merged + RACE_OTHER_AT, race_b + RACE_OTHER_AT, RACE_OTHER_BYTES);
    ck_assert_int_eq(volume_read(race_volume, RACE_AT, PAGE, page), 0);
    ck_assert(memcmp(page, race_old, PAGE) == 0 || memcmp(page, merged, PAGE) == 0);
}

START_TEST(partial_write_while_a_fetch_is_in_flight_shares_it)
{
    during_fetch(read_with_or_without_the_part, race_write_other_part, true, 0);
    race_expect_other_part();
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), 1);
}
END_TEST

static void partial_write_is_eio(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(volume_write(race_volume, RACE_AT + 1, 1, "x"), -EIO);
}

START_TEST(partial_write_while_a_fetch_fails_changes_nothing)
{
    during_fetch(read_is_eio, partial_write_is_eio, true, -EIO);
    ck_assert_uint_eq(stat_of(STAT_failed_reads), 1);
    ck_assert_uint_eq(stat_of(STAT_failed_writes), 1);
}
END_TEST

START_TEST(two_partial_writes_while_one_fetch_is_in_flight_lose_nothing)
{
    during_fetch(race_write_part, race_write_other_part, true, 0);
    race_expect_part();
    race_expect_other_part();
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), 1);
}
END_TEST

#define READERS 12

static void many_readers(actor_fn *reader, int result)
{
    struct actor *readers[READERS];

    write_back(NULL);
    faulty_hold(faulty, BACKING_READ);
    watch_from(GATE_FETCH_JOINED, RACE_PAGE);
    for (unsigned i = 0; i < READERS; i++)
        readers[i] = actor_start(reader, NULL);
    watch_wait(READERS);
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), 1);
    faulty_release(faulty, BACKING_READ, result);
    for (unsigned i = 0; i < READERS; i++)
        actor_go(readers[i]);
    watch_end();
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), 1);
}

START_TEST(several_readers_of_one_stored_page_cause_one_backing_read)
{
    many_readers(race_read_old, 0);
    /* Only the first found it idle: it was wanted again, and one of them promoted it. */
    ck_assert_uint_eq(stat_of(STAT_promotions), 1);
    race_read_old(NULL);
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), 1);
}
END_TEST

START_TEST(several_readers_of_one_stored_page_see_one_failure)
{
    many_readers(read_is_eio, -EIO);
    ck_assert_uint_eq(stat_of(STAT_failed_reads), READERS);
    race_read_old(NULL);
}
END_TEST

/* -- Promotions. -- */

static void promote(void *opaque)
{
    race_read_old(opaque);
}

static void during_promotion(actor_fn *second)
{
    write_back(NULL);
    race_read_old(NULL); /* makes it warm, if it was not */
    if (stat_of(STAT_promotions) > 0)
        write_back(NULL);
    struct actor *reader = actor_stop(GATE_PROMOTE_BUILT, promote, NULL);
    second(NULL);
    actor_go(reader);
}

START_TEST(write_during_promotion_comes_last)
{
    during_promotion(race_write_a);
    race_expect(race_a);
}
END_TEST

START_TEST(trim_during_promotion_comes_last)
{
    during_promotion(race_trim);
    race_expect_zeroes();
}
END_TEST

START_TEST(partial_write_during_promotion_is_not_lost)
{
    during_promotion(race_write_other_part);
    race_expect_other_part();
}
END_TEST

START_TEST(read_during_promotion_sees_the_page)
{
    during_promotion(race_read_old);
}
END_TEST

START_TEST(compaction_during_promotion_leaves_the_unpublished_object)
{
    during_promotion(race_compact);
}
END_TEST

START_TEST(second_eviction_during_promotion_leaves_one_page)
{
    during_promotion(write_a_and_evict);
    race_expect(race_a);
}
END_TEST

/* -- Shutdown. -- */

/* Past the low mark, so that writeback begins by itself and nobody waits for it. */
static void fill(struct volume *volume)
{
    unsigned char page[PAGE];
    uint64_t enough = harness_stat(volume, STAT_mem_limit) - MIB / 8;

    for (uint64_t i = 0; harness_stat(volume, STAT_mem_used_total) < enough; i++) {
        sample_sized(3000, i, page);
        ck_assert_int_eq(volume_write(volume, i * PAGE, PAGE, page), 0);
    }
}

static void open_limited(void)
{
    teardown();
    race_volume = NULL;
    faulty = faulty_new(STORE_BYTES);
}

static struct volume *limited;

static void close_limited(void *opaque)
{
    (void)opaque;
    volume_close(limited);
}

static void open_second(void)
{
    open_limited();
    limited = harness_open_with(faulty_backing(faulty), "size", "64M", "compressor",
                                "lz4", "memory-limit", "16M", NULL);
    faulty_wait_done(faulty, BACKING_WRITE, 1);
}

static void shutdown_in_flight(int result)
{
    open_second();
    faulty_hold(faulty, BACKING_WRITE);
    fill(limited);
    faulty_wait_held(faulty, BACKING_WRITE, 1);
    struct actor *closer = actor_start(close_limited, NULL);
    faulty_release(faulty, BACKING_WRITE, result);
    actor_go(closer);
}

START_TEST(shutdown_while_the_writeback_is_in_flight)
{
    shutdown_in_flight(0);
}
END_TEST

START_TEST(shutdown_while_the_writeback_fails)
{
    shutdown_in_flight(-EIO);
}
END_TEST

static void shutdown_at(enum gate point)
{
    open_second();
    halt_at(point, HALT_ANY_SLOT);
    fill(limited);
    halt_wait();
    struct actor *closer = actor_start(close_limited, NULL);
    halt_go();
    actor_go(closer);
}

START_TEST(shutdown_while_the_writeback_is_copied)
{
    shutdown_at(GATE_SEGMENT_COPIED);
}
END_TEST

START_TEST(shutdown_while_the_writeback_is_landed)
{
    shutdown_at(GATE_SEGMENT_LANDED);
}
END_TEST

START_TEST(shutdown_while_the_writeback_is_switched)
{
    shutdown_at(GATE_SEGMENT_SWITCHED);
}
END_TEST

#define ANY(name)                                                                      \
    name##_while_the_writeback_is_copied, name##_while_the_writeback_is_in_flight,     \
        name##_while_the_writeback_is_landed, name##_while_the_writeback_is_failed
#define ANY_FETCH(name)                                                                \
    name##_while_a_fetch_is_in_flight, name##_while_a_fetch_has_landed,                \
        name##_while_a_fetch_fails

HARNESS_MAIN_WITH(
    "race-writeback", setup, teardown, ANY(write), ANY(write_back_and_forth), ANY(trim),
    ANY(zero), ANY(partial_write), ANY(read), ANY(place_reuse), ANY(compaction),
    write_while_the_writeback_is_switched, trim_while_the_writeback_is_switched,
    zero_while_the_writeback_is_switched, compaction_while_the_writeback_is_switched,
    read_during_writeback_keeps_the_page_in_ram,
    trim_during_writeback_of_the_last_page_releases_the_segment,
    read_after_the_writeback_switched_fetches,
    partial_write_after_the_writeback_switched_fetches,
    second_eviction_while_the_first_is_in_flight_stores_the_new_page,
    second_eviction_while_the_first_is_in_flight_and_both_fail,
    second_eviction_while_the_first_is_copied_stores_the_new_page,
    second_eviction_while_the_first_has_landed_stores_the_new_page, ANY_FETCH(write),
    ANY_FETCH(trim), ANY_FETCH(zero), ANY_FETCH(place_reuse), ANY_FETCH(compaction),
    second_eviction_while_a_fetch_is_in_flight, second_eviction_while_a_fetch_fails,
    partial_write_while_a_fetch_is_in_flight_shares_it,
    partial_write_while_a_fetch_fails_changes_nothing,
    two_partial_writes_while_one_fetch_is_in_flight_lose_nothing,
    several_readers_of_one_stored_page_cause_one_backing_read,
    several_readers_of_one_stored_page_see_one_failure,
    write_during_promotion_comes_last, trim_during_promotion_comes_last,
    partial_write_during_promotion_is_not_lost, read_during_promotion_sees_the_page,
    compaction_during_promotion_leaves_the_unpublished_object,
    second_eviction_during_promotion_leaves_one_page,
    shutdown_while_the_writeback_is_copied, shutdown_while_the_writeback_is_in_flight,
    shutdown_while_the_writeback_is_landed, shutdown_while_the_writeback_is_switched,
    shutdown_while_the_writeback_fails)
