/* unit-volume-limit.c - memory-limit: kept at every moment, and what can be done at it
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "model.h"
#include "sample.h"

#define SIZE (64 * MIB)
#define PAGES (SIZE / PAGE)
#define ROOM (4 * MIB)

static struct volume *volume;
static struct model model;
static uint64_t limit;
static unsigned char data[16 * PAGE];

static void setup(void)
{
    volume = harness_open_limited("64M", "lz4", ROOM);
    limit = harness_fixed_bytes("64M", "lz4") + ROOM;
    model_open(&model, SIZE);
}

static void teardown(void)
{
    ck_assert_uint_le(harness_stat(volume, STAT_mem_used_max), limit);
    model_compare_all(&model, volume);
    model_compare_extents(&model, volume, 0, SIZE);
    harness_close(volume);
    model_close(&model);
}

static uint64_t used(void)
{
    uint64_t bytes = harness_stat(volume, STAT_mem_used_total);

    ck_assert_uint_le(bytes, limit);
    return bytes;
}

/* Writes a page; whether there was room. */
static bool try_write(uint64_t page, enum sample kind, uint64_t seed)
{
    sample_page(kind, seed, data);
    int r = volume_write(volume, page * PAGE, PAGE, data);

    used();
    if (r == 0)
        model_write(&model, page * PAGE, PAGE, data);
    else
        ck_assert_int_eq(r, -ENOSPC);
    return r == 0;
}

/* Fills with incompressible pages, STEP apart, from FIRST on; how many there was room for. */
static uint64_t fill(uint64_t first, uint64_t step)
{
    uint64_t count = 0;

    for (uint64_t page = first; page < PAGES; page += step) {
        if (!try_write(page, SAMPLE_RANDOM, page))
            break;
        count++;
    }
    return count;
}

START_TEST(the_limit_is_what_stats_say)
{
    ck_assert_uint_eq(harness_stat(volume, STAT_mem_limit), limit);
}
END_TEST

START_TEST(all_of_the_limit_can_be_used)
{
    uint64_t count = fill(0, 1);

    /* 1024 pages of RAM: 4 for the table, one for descriptors of spans per 512 pages. */
    ck_assert_uint_ge(count, ROOM / PAGE - 8);
    ck_assert_uint_eq(used(), limit);
}
END_TEST

START_TEST(a_write_without_room_leaves_the_page_as_it_was)
{
    sample_page(SAMPLE_SAME, 9, data);
    model_write_both(&model, volume, 5000 * PAGE, PAGE, data);
    uint64_t count = fill(0, 1);
    unsigned refused = 0;

    ck_assert(!try_write(5000, SAMPLE_RANDOM, 1)); /* a word, to an object */
    ck_assert(!try_write(count + 10, SAMPLE_RANDOM, 2));
    for (uint64_t page = 0; page < count; page += 50)
        refused += !try_write(page, SAMPLE_RANDOM, page + 7);
    ck_assert_uint_gt(refused, 0);
    /* In parts, too. */
    for (uint64_t page = 0; page < count; page += 50) {
        memset(data, 1, 100);
        int r = volume_write(volume, page * PAGE + 5, 100, data);
        if (r == 0)
            model_write(&model, page * PAGE + 5, 100, data);
        else
            ck_assert_int_eq(r, -ENOSPC);
    }
    model_compare_all(&model, volume);
    harness_check(volume);
}
END_TEST

START_TEST(of_a_long_write_the_pages_before_the_failure_are_there)
{
    fill(0, 1);
    for (unsigned i = 0; i < 5; i++)
        model_trim_both(&model, volume, (100 + i) * PAGE, PAGE);
    for (unsigned i = 0; i < 16; i++)
        sample_page(SAMPLE_RANDOM, 5900 + i, data + i * PAGE);
    ck_assert_int_eq(volume_write(volume, 100 * PAGE, 16 * PAGE, data), -ENOSPC);

    unsigned written = 0;
    unsigned char back[PAGE];
    for (; written < 16; written++) {
        ck_assert_int_eq(volume_read(volume, (100 + written) * PAGE, PAGE, back), 0);
        if (memcmp(back, data + written * PAGE, PAGE) != 0)
            break;
    }
    ck_assert_uint_ge(written, 4);
    ck_assert_uint_lt(written, 16);
    /* That the others are as they were is seen at the end. */
    model_write(&model, 100 * PAGE, written * PAGE, data);
}
END_TEST

START_TEST(at_the_limit_reads_trims_and_zeroes_go_on)
{
    uint64_t count = fill(0, 1);

    model_compare_all(&model, volume);
    model_zero_both(&model, volume, 10 * PAGE, 3 * PAGE);
    model_trim_both(&model, volume, 20 * PAGE, 3 * PAGE);
    memset(data, 0, PAGE);
    model_write_both(&model, volume, 30 * PAGE, PAGE, data);
    model_zero_both(&model, volume, count * PAGE + 100, 10); /* of an EMPTY page */
    model_compare_all(&model, volume);
}
END_TEST

START_TEST(freeing_makes_room_again)
{
    fill(0, 1);
    for (unsigned turn = 0; turn < 5; turn++) {
        uint64_t first = 100 + 100 * turn;

        ck_assert(!try_write(3000, SAMPLE_RANDOM, turn));
        model_trim_both(&model, volume, first * PAGE, 50 * PAGE);
        /* All but one: a page is built before the old one goes. */
        for (unsigned i = 0; i < 49; i++)
            ck_assert(try_write(first + i, SAMPLE_RANDOM, turn * 100 + i));
        try_write(first + 49, SAMPLE_RANDOM, turn);
    }
}
END_TEST

START_TEST(room_in_one_class_becomes_room_in_another)
{
    uint64_t count = fill(0, 1), text = 0;

    /* Every second page goes: only compaction makes spans empty. */
    for (uint64_t page = 0; page < count; page += 2)
        model_trim_both(&model, volume, page * PAGE, PAGE);
    for (uint64_t page = 4096; page < PAGES && try_write(page, SAMPLE_TEXT, page);
         page++)
        text++;
    ck_assert_uint_gt(harness_stat(volume, STAT_pages_compacted), 0);
    /* Half of the RAM holds text, which takes less than half a page. */
    ck_assert_uint_gt(text, count / 2 * 15 / 10);
}
END_TEST

START_TEST(scattered_pages_trimmed_can_be_written_elsewhere)
{
    /* One page per leaf of the table, and a second round of leaves elsewhere. */
    uint64_t before = used();
    uint64_t first = fill(0, 256);

    ck_assert_uint_eq(first, PAGES / 256);
    uint64_t more = fill(17, 9);
    model_trim_both(&model, volume, 0, SIZE);
    ck_assert_uint_le(used(), before + 2 * PAGE);
    ck_assert_uint_ge(fill(3, 9), more);
    model_zero_both(&model, volume, 0, SIZE);
    ck_assert_uint_le(used(), before + 2 * PAGE);
}
END_TEST

START_TEST(leaves_emptied_by_writes_of_zeroes_make_room)
{
    static const unsigned char zeroes[PAGE];
    uint64_t words = 0;

    /* Words take no objects: RAM goes for leaves only. */
    volume_close(volume);
    volume = harness_open_limited("64M", "lz4", MIB);
    limit = harness_fixed_bytes("64M", "lz4") + MIB;
    fill(0, 1); /* to the limit */
    for (uint64_t page = 0; page < 40; page++)
        model_write_both(&model, volume, page * PAGE, PAGE, zeroes);
    for (uint64_t page = 1024; page < PAGES; page += 256)
        words += try_write(page, SAMPLE_SAME, page);
    ck_assert_uint_ge(words, 30);
    for (uint64_t page = 1024; page < PAGES; page += 256)
        model_write_both(&model, volume, page * PAGE, PAGE, zeroes);
    uint64_t again = 0;
    for (uint64_t page = 1025; page < PAGES; page += 256)
        again += try_write(page, SAMPLE_SAME, page);
    ck_assert_uint_eq(again, words);
}
END_TEST

START_TEST(random_writes_at_the_limit_keep_it_and_the_pages)
{
    unsigned long ops = harness_ops(60000);
    uint64_t random = 21, refused = 0;

    for (unsigned long i = 0; i < ops; i++) {
        uint64_t page = harness_random(&random) % 3000;

        switch (harness_random(&random) % 8) {
        case 0:
            model_trim_both(&model, volume, page * PAGE, PAGE);
            break;
        case 1:
            model_compare(&model, volume, page * PAGE, 8 * PAGE);
            break;
        case 2: {
            uint32_t from = (uint32_t)(harness_random(&random) % PAGE);
            uint32_t bytes = (uint32_t)(harness_random(&random) % (PAGE - from)) + 1;
            int r;

            sample_page(SAMPLE_TEXT, i, data);
            r = volume_write(volume, page * PAGE + from, bytes, data);
            if (r == 0)
                model_write(&model, page * PAGE + from, bytes, data);
            else
                ck_assert_int_eq(r, -ENOSPC);
            break;
        }
        default:
            refused += !try_write(
                page, (enum sample)(harness_random(&random) % SAMPLE_COUNT), i);
        }
        used();
    }
    if (ops >= 60000)
        ck_assert_uint_gt(refused, 0);
}
END_TEST

START_TEST(without_a_limit_churn_through_size_classes_always_has_room)
{
    /* Each round writes all pages but one per span anew, with objects of another class, and so
     * leaves spans that hold one object each. */
    static const uint32_t rounds[] = {4096, 3720, 3620, 3520, 3420, 3320,
                                      3220, 3120, 3020, 2920, 2820, 2720,
                                      2620, 2520, 2420, 2320, 2220, 2120};
    struct volume *free_volume = harness_open("size", "16M", "compressor", "lz4", NULL);
    static bool stays[16 * MIB / PAGE];

    memset(stays, 0, sizeof stays);
    unsigned count_rounds = harness_is_slow() ? 6 : sizeof rounds / sizeof *rounds;
    for (unsigned round = 0; round < count_rounds; round++) {
        uint64_t count = 0;

        for (uint64_t page = 0; page < 16 * MIB / PAGE; page++) {
            if (stays[page])
                continue;
            sample_sized(rounds[round], page, data);
            int r = volume_write(free_volume, page * PAGE, PAGE, data);
            ck_assert_msg(r == 0, "round %u: %s", round, strerror(-r));
            stays[page] = count++ % 16 == 0;
        }
    }
    harness_close(free_volume);
}
END_TEST

HARNESS_MAIN_WITH("unit-volume-limit", setup, teardown, the_limit_is_what_stats_say,
                  all_of_the_limit_can_be_used,
                  a_write_without_room_leaves_the_page_as_it_was,
                  of_a_long_write_the_pages_before_the_failure_are_there,
                  at_the_limit_reads_trims_and_zeroes_go_on, freeing_makes_room_again,
                  room_in_one_class_becomes_room_in_another,
                  scattered_pages_trimmed_can_be_written_elsewhere,
                  leaves_emptied_by_writes_of_zeroes_make_room,
                  random_writes_at_the_limit_keep_it_and_the_pages,
                  without_a_limit_churn_through_size_classes_always_has_room)
