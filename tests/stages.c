/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "stages.h"

#include <errno.h>

#include "sample.h"
#include "segment.h"

struct faulty *stage_faulty;

void stage_setup(uint64_t backing_bytes)
{
    stage_faulty = faulty_new(backing_bytes);
    race_setup_with(faulty_backing(stage_faulty));
    /* The store's own header. */
    faulty_wait_done(stage_faulty, BACKING_WRITE, 1);
}

/* Until the cleaner has nothing more to do.  Between two I/Os of its it takes two
 * turns of the writeback thread, and each stage_write_back() is one. */
static void settle(void)
{
    unsigned before, now = faulty_wait_all_done(stage_faulty);

    do {
        before = now;
        for (unsigned turn = 0; turn < 4; turn++) {
            stage_write_back(NULL);
            now = faulty_wait_all_done(stage_faulty);
        }
    } while (now != before);
}

void stage_teardown(void)
{
    settle();
    ck_assert_uint_eq(faulty_illegal(stage_faulty), 0);
    ck_assert_uint_eq(stage_stat(STAT_corrupt_objects), 0);
    race_teardown();
}

uint64_t stage_stat(enum stat_id stat)
{
    return harness_stat(race_volume, stat);
}

void stage_write_back(void *opaque)
{
    int r = volume_writeback(race_volume);

    (void)opaque;
    ck_assert(r == 0 || (r == -EIO && stage_stat(STAT_failed_writebacks) > 0));
}

void stage_write_a_and_back(void *opaque)
{
    race_write_a(opaque);
    stage_write_back(opaque);
}

void stage_make_holes_and_compact(void *opaque)
{
    race_make_holes();
    race_compact(opaque);
}

void stage_read_is_eio(void *opaque)
{
    unsigned char page[PAGE];

    (void)opaque;
    ck_assert_int_eq(volume_read(race_volume, RACE_AT, PAGE, page), -EIO);
}

/* -- Stages. -- */

/* Who waits for a fetch is known to when N readers of the page have come to that. */
static struct actor *start_second(actor_fn *second, bool waits, unsigned n)
{
    if (!waits) {
        second(NULL);
        return NULL;
    }
    struct actor *actor = actor_start(second, NULL);
    watch_wait(n);
    return actor;
}

static void end_second(struct actor *actor)
{
    if (actor)
        actor_go(actor);
}

void stage_at_segment(enum gate point, actor_fn *begin, actor_fn *second, bool waits)
{
    halt_at(point, point == GATE_SEGMENT_SWITCHED ? RACE_PAGE : HALT_ANY_SLOT);
    watch_from(GATE_FETCH_JOINED, RACE_PAGE);
    struct actor *first = actor_start(begin, NULL);
    halt_wait();
    struct actor *other = start_second(second, waits, 1);
    halt_go();
    actor_go(first);
    end_second(other);
    watch_end();
}

void stage_in_flight(int result, actor_fn *begin, actor_fn *second)
{
    faulty_hold(stage_faulty, BACKING_WRITE);
    struct actor *first = actor_start(begin, NULL);
    faulty_wait_held(stage_faulty, BACKING_WRITE, 1);
    second(NULL);
    faulty_release(stage_faulty, BACKING_WRITE, result);
    actor_go(first);
}

void stage_fetch_in_flight(int result, actor_fn *reader, actor_fn *second, bool waits)
{
    faulty_hold_fetches(stage_faulty);
    watch_from(GATE_FETCH_JOINED, RACE_PAGE);
    struct actor *first = actor_start(reader, NULL);
    faulty_wait_held(stage_faulty, BACKING_READ, 1);
    watch_wait(1);
    struct actor *other = start_second(second, waits, 2);
    faulty_release(stage_faulty, BACKING_READ, result);
    actor_go(first);
    end_second(other);
    watch_end();
}

void stage_fetch_landed(actor_fn *reader, actor_fn *second, bool waits)
{
    halt_at(GATE_FETCH_READ, RACE_PAGE);
    watch_from(GATE_FETCH_JOINED, RACE_PAGE);
    struct actor *first = actor_start(reader, NULL);
    halt_wait();
    watch_wait(1);
    struct actor *other = start_second(second, waits, 2);
    halt_go();
    actor_go(first);
    end_second(other);
    watch_end();
}

/* -- The cleaner. -- */

/* Some blocks have two objects each, a large one and a small one; the race's page is the
 * large one of the first of them.  All the others have one.  There are so many that the
 * cleaner begins as soon as there is something dead (evict.c), which is when the small
 * ones are trimmed. */
#define LARGE_BYTES 3000
#define SMALL_BYTES 900
#define SMALL_AT (RACE_AT + PAGE)
#define PAIRS_AT (100 * PAGE)
#define PAIRS (STAGE_VICTIMS - 1)
#define SINGLES_AT (200 * PAGE)
#define SINGLES 720
#define SINGLE_BYTES 3900 /* nothing to split an object for */

static void put(uint32_t bytes, uint64_t at)
{
    unsigned char page[PAGE];

    sample_sized(bytes, at / PAGE, page);
    model_write_both(&race_model, race_volume, at, PAGE, page);
}

void stage_setup_cleaner(void)
{
    stage_setup(BACKING_BYTES_MIN);
    model_trim_both(&race_model, race_volume, 0, RACE_AT);
    model_trim_both(&race_model, race_volume, RACE_AT + PAGE,
                    RACE_SIZE - RACE_AT - PAGE);
    put(SMALL_BYTES, SMALL_AT);
    stage_write_back(NULL);
    for (unsigned i = 0; i < PAIRS; i++) {
        put(LARGE_BYTES, PAIRS_AT + 2 * i * PAGE);
        put(SMALL_BYTES, PAIRS_AT + (2 * i + 1) * PAGE);
    }
    stage_write_back(NULL);
    for (unsigned i = 0; i < SINGLES; i++)
        put(SINGLE_BYTES, SINGLES_AT + i * PAGE);
    stage_write_back(NULL);
    ck_assert_uint_eq(stage_stat(STAT_bd_used_size),
                      (uint64_t)(STAGE_VICTIMS + SINGLES) * BLOCK_BYTES);
    ck_assert_uint_eq(stage_stat(STAT_blocks_cleaned), 0);
}

void stage_clean(void *opaque)
{
    for (unsigned i = 0; i < PAIRS; i++) {
        uint64_t at = PAIRS_AT + (2 * i + 1) * PAGE;

        ck_assert_int_eq(volume_trim(race_volume, at, PAGE), 0);
        model_trim(&race_model, at, PAGE);
    }
    ck_assert_int_eq(volume_trim(race_volume, SMALL_AT, PAGE), 0);
    model_trim(&race_model, SMALL_AT, PAGE);
    stage_write_back(opaque);
}

void stage_clean_to_the_end(void *opaque)
{
    unsigned writes = faulty_count(stage_faulty, BACKING_WRITE);

    stage_clean(opaque);
    faulty_wait_done(stage_faulty, BACKING_WRITE, writes + 1);
}

void stage_cleaner_reads(int result, actor_fn *second)
{
    faulty_hold_cleaner(stage_faulty);
    struct actor *first = actor_start(stage_clean, NULL);
    faulty_wait_held(stage_faulty, BACKING_READ, STAGE_VICTIMS);
    second(NULL);
    faulty_release(stage_faulty, BACKING_READ, result);
    actor_go(first);
}
