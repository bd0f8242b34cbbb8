/* unit-volume.c - core/volume.h: one thread against the plain array
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "volume.h"

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "model.h"
#include "sample.h"

#define SIZE (3 * MIB)

static struct volume *volume;
static struct model model;
static unsigned char data[64 * PAGE];

static void setup(void)
{
    volume = harness_open("size", "3M", "compressor", "lz4", NULL);
    model_open(&model, SIZE);
}

static void teardown(void)
{
    model_compare_all(&model, volume);
    model_compare_extents(&model, volume, 0, SIZE);
    harness_close(volume);
    model_close(&model);
}

static void fill_data(uint64_t seed)
{
    for (unsigned i = 0; i < sizeof data / PAGE; i++)
        sample_page((enum sample)((seed + i) % SAMPLE_COUNT), seed * 64 + i,
                    data + i * PAGE);
}

START_TEST(a_new_volume_is_zeroes)
{
    ck_assert_uint_eq(volume_size_bytes(volume), SIZE);
    model_compare_all(&model, volume);
}
END_TEST

START_TEST(every_kind_of_page_replaces_every_kind)
{
    for (unsigned a = 0; a < SAMPLE_COUNT; a++)
        for (unsigned b = 0; b < SAMPLE_COUNT; b++) {
            uint64_t at = (a * SAMPLE_COUNT + b) * PAGE;

            sample_page(a, a + 1, data);
            model_write_both(&model, volume, at, PAGE, data);
            model_compare(&model, volume, at, PAGE);
            sample_page(b, b + 7, data);
            model_write_both(&model, volume, at, PAGE, data);
            model_compare(&model, volume, at, PAGE);
        }
}
END_TEST

START_TEST(parts_of_any_offset_and_length_over_every_kind_of_page)
{
    static const uint32_t edges[] = {0, 1, 7, 8, 9, 511, 2048, 4088, 4095, 4096};
    enum { EDGES = sizeof edges / sizeof *edges };
    unsigned char part[PAGE];

    sample_page(SAMPLE_RANDOM, 99, part);
    for (unsigned kind = 0; kind < SAMPLE_COUNT; kind++)
        for (unsigned from = 0; from < EDGES; from++)
            for (unsigned to = from; to < EDGES; to++) {
                uint64_t at = (kind + 1) * PAGE + edges[from];
                uint32_t bytes = edges[to] - edges[from];

                sample_page(kind, from, data);
                model_write_both(&model, volume, (kind + 1) * PAGE, PAGE, data);
                model_compare(&model, volume, at, bytes);
                model_write_both(&model, volume, at, bytes, part);
                model_compare(&model, volume, kind * PAGE, 3 * PAGE);
                model_zero_both(&model, volume, at, bytes);
                model_compare(&model, volume, kind * PAGE, 3 * PAGE);
            }
}
END_TEST

START_TEST(one_byte_at_a_time_is_a_page)
{
    sample_page(SAMPLE_TEXT, 5, data);
    for (unsigned i = 0; i < PAGE; i += 3)
        model_write_both(&model, volume, 5 * PAGE + i, 1, data + i);
    for (unsigned i = 0; i < PAGE; i += 5)
        model_compare(&model, volume, 5 * PAGE + i, 1);
}
END_TEST

START_TEST(a_range_outside_the_volume_is_einval_and_touches_nothing)
{
    static const struct {
        uint64_t offset, bytes;
    } outside[] = {{SIZE, 1},          {SIZE - 1, 2},
                   {0, SIZE + 1},      {SIZE + 1, 0},
                   {UINT64_MAX, 1},    {UINT64_MAX, UINT64_MAX},
                   {PAGE, UINT64_MAX}, {UINT64_MAX - PAGE + 1, PAGE}};

    for (unsigned i = 0; i < sizeof outside / sizeof *outside; i++) {
        uint64_t offset = outside[i].offset, bytes = outside[i].bytes;

        ck_assert_int_eq(volume_read(volume, offset, bytes, data), -EINVAL);
        ck_assert_int_eq(volume_write(volume, offset, bytes, data), -EINVAL);
        ck_assert_int_eq(volume_trim(volume, offset, bytes), -EINVAL);
        ck_assert_int_eq(volume_zero(volume, offset, bytes), -EINVAL);
        ck_assert_int_eq(volume_cache(volume, offset, bytes), -EINVAL);
        ck_assert_int_eq(volume_extents(volume, offset, bytes, NULL, NULL), -EINVAL);
    }
    ck_assert_int_eq(volume_read(volume, SIZE, 0, data), 0);
    ck_assert_int_eq(volume_write(volume, SIZE, 0, data), 0);
    ck_assert_int_eq(volume_flush(volume), 0);
    ck_assert_int_eq(volume_cache(volume, 0, SIZE), 0);
}
END_TEST

START_TEST(trim_leaves_partial_pages_and_zero_does_not)
{
    fill_data(1);
    model_write_both(&model, volume, 0, sizeof data, data);
    model_trim_both(&model, volume, 10, 5 * PAGE);
    model_compare_all(&model, volume);
    model_trim_both(&model, volume, 9 * PAGE + 1, PAGE - 2); /* no whole page */
    model_compare_all(&model, volume);
    model_zero_both(&model, volume, 12 * PAGE + 100, 3 * PAGE);
    model_compare_all(&model, volume);
    model_zero_both(&model, volume, 20 * PAGE + 100, 50);
    model_compare_all(&model, volume);
    model_zero_both(&model, volume, 25 * PAGE - 1, 2);
}
END_TEST

START_TEST(pages_that_become_zeroes_take_no_memory)
{
    uint64_t before = harness_stat(volume, STAT_mem_used_total);

    for (unsigned i = 0; i < 64; i++)
        sample_page(SAMPLE_RANDOM, i, data + i * PAGE);
    model_write_both(&model, volume, 0, sizeof data, data);
    memset(data, 0, sizeof data);
    model_write_both(&model, volume, 0, 20 * PAGE, data); /* written */
    for (unsigned i = 20; i < 40; i++) {                  /* in two halves */
        model_zero_both(&model, volume, i * PAGE, 1000);
        model_write_both(&model, volume, i * PAGE + 1000, PAGE - 1000, data);
    }
    model_zero_both(&model, volume, 40 * PAGE, 24 * PAGE);
    model_compare_extents(&model, volume, 0, SIZE);
    volume_compact(volume, NULL);
    /* But for descriptors of spans. */
    ck_assert_uint_le(harness_stat(volume, STAT_mem_used_total), before + PAGE);
}
END_TEST

START_TEST(extents_of_any_range_are_exact)
{
    uint64_t random = 5;

    sample_page(SAMPLE_TEXT, 1, data);
    for (unsigned i = 0; i < 200; i++)
        model_write_both(&model, volume, harness_random(&random) % (SIZE / PAGE) * PAGE,
                         PAGE, data);
    for (unsigned i = 0; i < 500; i++) {
        uint64_t offset = harness_random(&random) % SIZE;

        model_compare_extents(&model, volume, offset,
                              harness_random(&random) % (SIZE - offset) + 1);
    }
}
END_TEST

struct stop {
    unsigned calls;
    int answer;
};

static int stop_extents(void *opaque, uint64_t offset, uint64_t bytes, bool hole)
{
    struct stop *stop = opaque;

    (void)offset;
    (void)bytes;
    (void)hole;
    return ++stop->calls == 2 ? stop->answer : 0;
}

START_TEST(the_walk_of_extents_ends_when_told_to)
{
    struct stop enough = {0, 1}, fails = {0, -EIO};

    for (unsigned i = 0; i < 10; i += 2) {
        sample_page(SAMPLE_TEXT, i, data);
        model_write_both(&model, volume, i * PAGE, PAGE, data);
    }
    ck_assert_int_eq(volume_extents(volume, 0, SIZE, stop_extents, &enough), 0);
    ck_assert_uint_eq(enough.calls, 2);
    ck_assert_int_eq(volume_extents(volume, 0, SIZE, stop_extents, &fails), -EIO);
    ck_assert_uint_eq(fails.calls, 2);
}
END_TEST

START_TEST(random_requests_match_the_array)
{
    unsigned long ops = harness_ops(100000);
    uint64_t random = 42;

    for (unsigned long i = 0; i < ops; i++) {
        uint64_t bytes =
            harness_random(&random) % (harness_random(&random) % 8 ? 9000 : 100000);
        uint64_t offset = harness_random(&random) % (SIZE - bytes);

        if (harness_random(&random) % 3 == 0) {
            offset = offset / PAGE * PAGE;
            bytes = bytes / PAGE * PAGE;
        }
        if (i % 64 == 0)
            fill_data(i);
        switch (harness_random(&random) % 16) {
        case 0:
            model_trim_both(&model, volume, offset, bytes);
            break;
        case 1:
        case 2:
            model_zero_both(&model, volume, offset, bytes);
            break;
        case 3:
            model_compare_extents(&model, volume, offset, bytes + 1);
            break;
        case 4:
        case 5:
        case 6:
        case 7:
            model_compare(&model, volume, offset, bytes);
            break;
        default:
            model_write_both(&model, volume, offset, bytes,
                             data + harness_random(&random) % (sizeof data - bytes));
        }
        if (i % 4096 == 0) {
            volume_compact(volume, NULL);
            harness_check(volume);
        }
    }
}
END_TEST

START_TEST(every_compressor_keeps_every_page)
{
    static const char *const compressors[] = {"none",   "lz4",    "zstd",   "zstd:-7",
                                              "zstd:3", "zstd:9", "zstd:19"};

    fill_data(3);
    for (unsigned i = 0; i < sizeof compressors / sizeof *compressors; i++) {
        struct volume *other =
            harness_open("size", "4M", "compressor", compressors[i], NULL);
        struct model array;

        model_open(&array, 4 * MIB);
        model_write_both(&array, other, 100, sizeof data, data);
        model_write_both(&array, other, MIB, sizeof data, data);
        model_compare_all(&array, other);
        volume_compact(other, NULL);
        model_compare_all(&array, other);
        harness_close(other);
        model_close(&array);
    }
}
END_TEST

START_TEST(the_last_page_of_16_tib_is_like_any_other)
{
    const uint64_t size = UINT64_C(16) << 40;
    unsigned char back[2 * PAGE];

    if (!harness_has_addresses())
        return;
    struct volume *large = harness_open("size", "16T", "compressor", "lz4", NULL);
    uint64_t before = harness_stat(large, STAT_mem_used_total);

    ck_assert_uint_eq(volume_size_bytes(large), size);
    fill_data(2);
    ck_assert_int_eq(volume_write(large, size - 2 * PAGE, 2 * PAGE, data), 0);
    ck_assert_int_eq(volume_write(large, size - 1, 1, "x"), 0);
    ck_assert_int_eq(volume_write(large, size / 2 - 5, 10, "ten bytes."), 0);
    ck_assert_int_eq(volume_read(large, size - 2 * PAGE, 2 * PAGE, back), 0);
    ck_assert_mem_eq(back, data, 2 * PAGE - 1);
    ck_assert_int_eq(back[2 * PAGE - 1], 'x');
    volume_compact(large, NULL);
    ck_assert_int_eq(volume_read(large, size / 2 - 5, 10, back), 0);
    ck_assert_mem_eq(back, "ten bytes.", 10);
    ck_assert_int_eq(volume_write(large, size - 1, 2, data), -EINVAL);
    ck_assert_int_eq(volume_trim(large, 0, size), 0);
    ck_assert_uint_le(harness_stat(large, STAT_mem_used_total), before + PAGE);
    harness_close(large);
}
END_TEST

START_TEST(a_volume_that_was_never_started_can_be_closed)
{
    struct options options;
    struct volume *other;
    struct reason reason;

    options_init(&options);
    ck_assert_int_eq(options_set(&options, "size", "4G", &reason), 0);
    ck_assert_int_eq(volume_open(&options, &other, &reason), 0);
    volume_close(other);
    volume_close(NULL);
}
END_TEST

HARNESS_MAIN_WITH("unit-volume", setup, teardown, a_new_volume_is_zeroes,
                  every_kind_of_page_replaces_every_kind,
                  parts_of_any_offset_and_length_over_every_kind_of_page,
                  one_byte_at_a_time_is_a_page,
                  a_range_outside_the_volume_is_einval_and_touches_nothing,
                  trim_leaves_partial_pages_and_zero_does_not,
                  pages_that_become_zeroes_take_no_memory,
                  extents_of_any_range_are_exact, the_walk_of_extents_ends_when_told_to,
                  random_requests_match_the_array, every_compressor_keeps_every_page,
                  the_last_page_of_16_tib_is_like_any_other,
                  a_volume_that_was_never_started_can_be_closed)
