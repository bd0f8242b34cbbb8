/* unit-pool.c - core/pool.h and core/span.h
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "harness.h"

#define PAGES 4096

static struct memory memory;
static struct pool pool;

static void open_with_limit(uint64_t bytes)
{
    memory_init(&memory, bytes);
    memset(&pool, 0, sizeof pool);
    ck_assert_int_eq(pool_open(&pool, PAGES, &memory, false), 0);
    ck_assert_int_eq(pool_start(&pool), 0);
}

static void setup(void)
{
    open_with_limit(UINT64_MAX);
}

/* RAM of spans; descriptors, which stay, left out. */
static uint64_t span_ram(void)
{
    uint64_t per_page = PAGE / sizeof(struct span);

    return memory_used_bytes(&memory) -
           (pool.table.high + per_page - 1) / per_page * PAGE;
}

static void teardown(void)
{
    ck_assert_uint_eq(pool_objects(&pool), 0);
    ck_assert_uint_eq(pool_free_bytes(&pool), 0);
    ck_assert_uint_eq(span_ram(), 0);
    pool_close(&pool);
}

static handle_t alloc(uint32_t length, uint32_t owner)
{
    handle_t handle;

    ck_assert_int_eq(pool_alloc(&pool, length, owner, &handle), 0);
    ck_assert(pool_is_object(&pool, handle, length, owner));
    return handle;
}

static uint32_t span_number(handle_t handle)
{
    return (uint32_t)(handle.value >> 8);
}

static unsigned resident_pages(uint32_t number)
{
    unsigned char pages[SPAN_PAGES_MAX];
    unsigned count = 0;

    ck_assert_int_eq(mincore(pool.table.objects.base + (uint64_t)number * SPAN_BYTES,
                             SPAN_BYTES, pages),
                     0);
    for (unsigned i = 0; i < SPAN_PAGES_MAX; i++)
        count += pages[i] & 1;
    return count;
}

START_TEST(objects_of_every_length_keep_their_bytes_and_owners)
{
    static handle_t handles[PAGES];
    static const uint32_t strange = UINT32_MAX; /* the last slot of 16T */
    uint32_t count = 0;

    for (uint32_t length = 1; length <= PAGE; length += length < 40 ? 1 : 13) {
        if (length > COMPRESSED_BYTES_MAX)
            length = PAGE;
        handles[count] = alloc(length, strange - length);
        memset(pool_object(&pool, handles[count], length), (int)length, length);
        count++;
    }
    count = 0;
    for (uint32_t length = 1; length <= PAGE; length += length < 40 ? 1 : 13) {
        if (length > COMPRESSED_BYTES_MAX)
            length = PAGE;
        const unsigned char *object = pool_object(&pool, handles[count], length);
        for (uint32_t i = 0; i < length; i++)
            ck_assert_uint_eq(object[i], length & 0xff);
        ck_assert(pool_is_object(&pool, handles[count], length, strange - length));
        ck_assert(!pool_is_object(&pool, handles[count], length, length));
        pool_free(&pool, handles[count]);
        count++;
    }
}
END_TEST

START_TEST(objects_never_overlap)
{
    enum { COUNT = 600 };
    static struct {
        char *at;
        uint32_t length;
        handle_t handle;
    } all[COUNT];
    uint64_t random = 7;

    for (unsigned i = 0; i < COUNT; i++) {
        all[i].length = harness_random(&random) % 5 ? 100 + i % 3 * 16 : PAGE;
        all[i].handle = alloc(all[i].length, i);
        all[i].at = pool_object(&pool, all[i].handle, all[i].length);
        for (unsigned j = 0; j < i; j++)
            ck_assert(all[i].at + all[i].length <= all[j].at ||
                      all[j].at + all[j].length <= all[i].at);
    }
    for (unsigned i = 0; i < COUNT; i++)
        pool_free(&pool, all[i].handle);
}
END_TEST

START_TEST(a_free_place_is_no_object)
{
    handle_t handle = alloc(500, 3);
    handle_t stays = alloc(500, 4);

    pool_free(&pool, handle);
    ck_assert(!pool_is_object(&pool, handle, 500, 3));
    ck_assert(!pool_is_object(&pool, (handle_t){UINT64_MAX}, 500, 3));
    ck_assert(!pool_is_object(&pool, stays, 900, 4));
    pool_free(&pool, stays);
}
END_TEST

START_TEST(only_ram_that_an_object_has_reached_is_used)
{
    handle_t one = alloc(3000, 1), two = alloc(3000, 2);

    ck_assert_uint_eq(span_number(one), span_number(two));
    ck_assert_uint_eq(span_ram(), 2 * PAGE);
    ck_assert_uint_eq(resident_pages(span_number(one)), 2);
    pool_free(&pool, one);
    pool_free(&pool, two);
    ck_assert_uint_eq(span_ram(), 0);
    ck_assert_uint_eq(resident_pages(span_number(one)), 0);
}
END_TEST

START_TEST(the_lowest_place_is_used_first)
{
    handle_t handles[10];

    for (unsigned i = 0; i < 10; i++)
        handles[i] = alloc(1000, i);
    pool_free(&pool, handles[7]);
    pool_free(&pool, handles[2]);
    ck_assert_uint_eq(alloc(1000, 20).value, handles[2].value);
    ck_assert_uint_eq(alloc(1000, 21).value, handles[7].value);
    for (unsigned i = 0; i < 10; i++)
        pool_free(&pool, handles[i]);
}
END_TEST

START_TEST(the_fullest_span_is_used_first)
{
    unsigned per_span = size_classes[size_class_of(PAGE)].objects;
    handle_t handles[3 * 16];

    ck_assert_uint_eq(per_span, 16);
    for (unsigned i = 0; i < 48; i++)
        handles[i] = alloc(PAGE, i);
    /* 2, 10 and 5 stay of the three. */
    for (unsigned i = 2; i < 16; i++)
        pool_free(&pool, handles[i]);
    for (unsigned i = 16 + 10; i < 32; i++)
        pool_free(&pool, handles[i]);
    for (unsigned i = 32 + 5; i < 48; i++)
        pool_free(&pool, handles[i]);
    for (unsigned i = 26; i < 32; i++) {
        handles[i] = alloc(PAGE, i);
        ck_assert_uint_eq(span_number(handles[i]), span_number(handles[16]));
    }
    handles[37] = alloc(PAGE, 37);
    ck_assert_uint_eq(span_number(handles[37]), span_number(handles[32]));
    for (unsigned i = 0; i < 2; i++)
        pool_free(&pool, handles[i]);
    for (unsigned i = 16; i < 38; i++)
        pool_free(&pool, handles[i]);
}
END_TEST

START_TEST(windows_of_dropped_spans_are_used_again)
{
    uint32_t high = 0;

    for (unsigned turn = 0; turn < 100; turn++) {
        handle_t handles[40];

        for (unsigned i = 0; i < 40; i++)
            handles[i] = alloc(turn % 3 ? PAGE : 2000, i);
        for (unsigned i = 0; i < 40; i++)
            pool_free(&pool, handles[i]);
        if (turn == 0)
            high = pool.table.high;
        ck_assert_uint_le(pool.table.high, high + 2);
    }
}
END_TEST

START_TEST(at_the_limit_an_alloc_fails_and_changes_nothing)
{
    pool_close(&pool);
    open_with_limit(PAGE /* descriptors */ + 5 * PAGE);
    handle_t handles[5], refused;

    for (unsigned i = 0; i < 5; i++)
        handles[i] = alloc(PAGE, i);
    ck_assert_int_eq(pool_alloc(&pool, PAGE, 9, &refused), -ENOSPC);
    ck_assert_int_eq(pool_alloc(&pool, 100, 9, &refused),
                     -ENOSPC); /* a span of its own */
    ck_assert_uint_eq(pool_objects(&pool), 5);
    ck_assert_uint_eq(memory_used_bytes(&memory), 6 * PAGE);
    pool_free(&pool, handles[3]);
    /* A hole within a span has its RAM still. */
    ck_assert_uint_eq(alloc(PAGE, 3).value, handles[3].value);
    for (unsigned i = 0; i < 5; i++)
        pool_free(&pool, handles[i]);
}
END_TEST

START_TEST(at_the_limit_a_hole_in_any_span_is_found)
{
    pool_close(&pool);
    open_with_limit(PAGE + 33 * PAGE);
    handle_t handles[33];
    handle_t refused;

    /* Two full spans; the third begun. */
    for (unsigned i = 0; i < 33; i++)
        handles[i] = alloc(PAGE, i);
    ck_assert_int_eq(pool_alloc(&pool, PAGE, 40, &refused), -ENOSPC);
    pool_free(&pool, handles[5]);
    ck_assert_uint_eq(alloc(PAGE, 5).value, handles[5].value);
    pool_free(&pool, handles[20]);
    ck_assert_uint_eq(alloc(PAGE, 20).value, handles[20].value);
    for (unsigned i = 0; i < 33; i++)
        pool_free(&pool, handles[i]);
}
END_TEST

START_TEST(what_the_system_refuses_is_told_as_it_is)
{
    handle_t handle, there = alloc(PAGE, 1);

    /* For a new span and for more of one. */
    harness_fail(GATE_MEMORY_CHARGE, 1, true, -ENOMEM);
    ck_assert_int_eq(pool_alloc(&pool, 50, 2, &handle), -ENOMEM);
    ck_assert_int_eq(pool_alloc(&pool, PAGE, 2, &handle), -ENOMEM);
    ck_assert(harness_fail_end());
    pool_free(&pool, there);
}
END_TEST

/* -- Victims of compaction. -- */

/* Moves all that the victim has, as compact.c would; OWNERS' handles follow. */
static bool empty_victim(struct pool_victim *victim, handle_t *by_owner,
                         uint32_t length)
{
    handle_t from, to;
    uint32_t owner;

    while (pool_victim_next(&pool, victim, &from, &owner)) {
        ck_assert_uint_eq(by_owner[owner].value, from.value);
        to = alloc(length, owner);
        memcpy(pool_object(&pool, to, length), pool_object(&pool, from, length),
               length);
        by_owner[owner] = to;
        pool_free(&pool, from);
    }
    return pool_victim_done(&pool, victim);
}

START_TEST(compaction_leaves_less_than_a_span_per_class)
{
    enum { COUNT = 2000, LENGTH = 1500 };
    static handle_t by_owner[COUNT];
    struct pool_victim victim;
    unsigned class = size_class_of(LENGTH);
    uint64_t random = 3, stride = size_classes[class].stride_bytes;
    uint64_t kept = 0;

    for (uint32_t i = 0; i < COUNT; i++) {
        by_owner[i] = alloc(LENGTH, i);
        memset(pool_object(&pool, by_owner[i], LENGTH), (int)i, LENGTH);
    }
    for (uint32_t i = 0; i < COUNT; i++)
        if (harness_random(&random) % 4) {
            pool_free(&pool, by_owner[i]);
            by_owner[i].value = UINT64_MAX;
        } else
            kept++;
    ck_assert_uint_gt(span_ram(), 2 * kept * stride);

    while (pool_victim_choose(&pool, class, &victim)) {
        bool packing = victim.packing;
        if (!empty_victim(&victim, by_owner, LENGTH) || packing)
            break;
    }
    ck_assert_uint_le(span_ram(), kept * stride * 102 / 100 + SPAN_BYTES);
    for (uint32_t i = 0; i < COUNT; i++)
        if (by_owner[i].value != UINT64_MAX) {
            unsigned char *object = pool_object(&pool, by_owner[i], LENGTH);
            ck_assert(object[0] == (i & 0xff) && object[LENGTH - 1] == (i & 0xff));
            pool_free(&pool, by_owner[i]);
        }
}
END_TEST

START_TEST(nothing_is_allocated_from_a_span_that_is_to_be_emptied)
{
    handle_t handles[40];
    struct pool_victim victim;

    for (unsigned i = 0; i < 40; i++)
        handles[i] = alloc(PAGE, i);
    for (unsigned i = 1; i < 16; i++) /* one stays of the first span */
        pool_free(&pool, handles[i]);
    ck_assert(pool_victim_choose(&pool, SIZE_CLASS_RAW, &victim));
    ck_assert(!victim.packing);
    ck_assert_uint_eq(victim.span, span_number(handles[0]));
    for (unsigned i = 1; i < 12; i++) {
        handles[i] = alloc(PAGE, i);
        ck_assert_uint_ne(span_number(handles[i]), victim.span);
    }
    /* Its last object goes by itself: only the compaction may drop it. */
    pool_free(&pool, handles[0]);
    ck_assert_uint_gt(resident_pages(victim.span), 0);
    ck_assert(pool_victim_done(&pool, &victim));
    ck_assert_uint_eq(resident_pages(victim.span), 0);
    for (unsigned i = 1; i < 12; i++)
        pool_free(&pool, handles[i]);
    for (unsigned i = 16; i < 40; i++)
        pool_free(&pool, handles[i]);
}
END_TEST

START_TEST(a_victim_that_does_not_empty_goes_back_among_the_others)
{
    handle_t handles[48];
    struct pool_victim victim;

    for (unsigned i = 0; i < 40; i++)
        handles[i] = alloc(PAGE, i);
    for (unsigned i = 0; i < 15; i++) /* the highest stays */
        pool_free(&pool, handles[i]);
    ck_assert(pool_victim_choose(&pool, SIZE_CLASS_RAW, &victim));
    pool_victim_done(&pool, &victim);
    for (unsigned i = 0; i < 15 + 8; i++) /* all places are found again */
        handles[i < 15 ? i : i + 25] = alloc(PAGE, i);
    ck_assert_uint_eq(pool.table.high, 3);
    for (unsigned i = 0; i < 48; i++)
        pool_free(&pool, handles[i]);
}
END_TEST

START_TEST(packing_gives_back_the_ram_behind_the_last_object)
{
    handle_t by_owner[16];
    struct pool_victim victim;

    for (unsigned i = 0; i < 16; i++)
        by_owner[i] = alloc(PAGE, i);
    for (unsigned i = 0; i < 12; i++)
        pool_free(&pool, by_owner[i]);
    ck_assert_uint_eq(span_ram(), 16 * PAGE);
    ck_assert(pool_victim_choose(&pool, SIZE_CLASS_RAW, &victim));
    ck_assert(victim.packing);
    ck_assert(empty_victim(&victim, by_owner, PAGE));
    ck_assert_uint_eq(span_ram(), 4 * PAGE);
    ck_assert_uint_eq(resident_pages(span_number(by_owner[12])), 4);
    ck_assert(!pool_victim_choose(&pool, SIZE_CLASS_RAW, &victim));
    for (unsigned i = 12; i < 16; i++)
        pool_free(&pool, by_owner[i]);
}
END_TEST

START_TEST(a_class_without_spans_has_no_victim)
{
    struct pool_victim victim;

    for (unsigned class = 0; class < SIZE_CLASSES; class ++)
        ck_assert(!pool_victim_choose(&pool, class, &victim));
}
END_TEST

START_TEST(random_allocs_and_frees_keep_the_counts)
{
    enum { COUNT = 1500 };
    static struct {
        handle_t handle;
        uint32_t length;
    } all[COUNT];
    unsigned long ops = harness_ops(200000);
    uint64_t random = 11, live = 0;

    memset(all, 0, sizeof all);
    for (unsigned long i = 0; i < ops; i++) {
        uint32_t owner = (uint32_t)(harness_random(&random) % COUNT);

        if (all[owner].length) {
            char *object = pool_object(&pool, all[owner].handle, all[owner].length);
            ck_assert_int_eq(object[all[owner].length - 1], (char)owner);
            ck_assert(
                pool_is_object(&pool, all[owner].handle, all[owner].length, owner));
            pool_free(&pool, all[owner].handle);
            all[owner].length = 0;
            live--;
        } else {
            uint32_t length =
                (uint32_t)(harness_random(&random) % COMPRESSED_BYTES_MAX) + 1;
            if (length % 7 == 0)
                length = PAGE;
            all[owner].handle = alloc(length, owner);
            all[owner].length = length;
            memset(pool_object(&pool, all[owner].handle, length), (char)owner, length);
            live++;
        }
    }
    ck_assert_uint_eq(pool_objects(&pool), live);
    for (uint32_t owner = 0; owner < COUNT; owner++)
        if (all[owner].length)
            pool_free(&pool, all[owner].handle);
}
END_TEST

HARNESS_MAIN_WITH(
    "unit-pool", setup, teardown, objects_of_every_length_keep_their_bytes_and_owners,
    objects_never_overlap, a_free_place_is_no_object,
    only_ram_that_an_object_has_reached_is_used, the_lowest_place_is_used_first,
    the_fullest_span_is_used_first, windows_of_dropped_spans_are_used_again,
    at_the_limit_an_alloc_fails_and_changes_nothing,
    at_the_limit_a_hole_in_any_span_is_found, what_the_system_refuses_is_told_as_it_is,
    compaction_leaves_less_than_a_span_per_class,
    nothing_is_allocated_from_a_span_that_is_to_be_emptied,
    a_victim_that_does_not_empty_goes_back_among_the_others,
    packing_gives_back_the_ram_behind_the_last_object,
    a_class_without_spans_has_no_victim, random_allocs_and_frees_keep_the_counts)
