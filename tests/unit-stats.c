/* unit-stats.c - what a volume counts
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "stats.h"

#include <string.h>

#include "harness.h"
#include "sample.h"

static struct volume *volume;
static unsigned char page[PAGE];

static void setup(void)
{
    volume = harness_open("size", "4M", "compressor", "lz4", NULL);
}

static void teardown(void)
{
    harness_close(volume);
}

static uint64_t stat_of(enum stat_id id)
{
    return harness_stat(volume, id);
}

static void write(uint64_t number, enum sample kind)
{
    sample_page(kind, number, page);
    ck_assert_int_eq(volume_write(volume, number * PAGE, PAGE, page), 0);
}

START_TEST(names_are_those_of_the_table)
{
    ck_assert_str_eq(stat_name(STAT_orig_data_size), "orig_data_size");
    ck_assert_str_eq(stat_name(STAT_mem_used_total), "mem_used_total");
    for (unsigned i = 0; i < STAT_COUNT; i++)
        for (unsigned j = 0; j < i; j++)
            ck_assert_str_ne(stat_name(i), stat_name(j));
}
END_TEST

START_TEST(a_new_volume_has_only_its_size_and_tables)
{
    ck_assert_uint_eq(stat_of(STAT_disk_size), 4 * MIB);
    ck_assert_uint_eq(stat_of(STAT_mem_used_total), harness_fixed_bytes("4M", "lz4"));
    ck_assert_uint_eq(stat_of(STAT_mem_limit), 0);
    for (unsigned i = 0; i < STAT_COUNT; i++)
        if (i != STAT_disk_size && i != STAT_mem_used_total && i != STAT_mem_used_max)
            ck_assert_msg(stat_of(i) == 0, "%s", stat_name(i));
}
END_TEST

START_TEST(gauges_follow_pages_of_every_kind)
{
    write(0, SAMPLE_ZERO);
    ck_assert_uint_eq(stat_of(STAT_orig_data_size), 0);
    write(1, SAMPLE_SAME);
    ck_assert_uint_eq(stat_of(STAT_orig_data_size), PAGE);
    ck_assert_uint_eq(stat_of(STAT_compr_data_size), 0);
    ck_assert_uint_eq(stat_of(STAT_same_pages), 1);
    write(2, SAMPLE_RANDOM);
    ck_assert_uint_eq(stat_of(STAT_huge_pages), 1);
    ck_assert_uint_eq(stat_of(STAT_compr_data_size), PAGE);
    write(3, SAMPLE_TEXT);
    ck_assert_uint_gt(stat_of(STAT_compr_data_size), PAGE);
    ck_assert_uint_lt(stat_of(STAT_compr_data_size), 2 * PAGE);
    ck_assert_uint_eq(stat_of(STAT_orig_data_size), 3 * PAGE);
    ck_assert_uint_eq(stat_of(STAT_pages_written), 4);

    /* Overwritten with others of their kinds. */
    write(2, SAMPLE_SAME);
    write(1, SAMPLE_RANDOM);
    write(1, SAMPLE_RANDOM);
    ck_assert_uint_eq(stat_of(STAT_same_pages), 1);
    ck_assert_uint_eq(stat_of(STAT_huge_pages), 1);
    ck_assert_uint_eq(stat_of(STAT_huge_pages_since), 3);

    ck_assert_int_eq(volume_trim(volume, 0, 4 * MIB), 0);
    ck_assert_uint_eq(stat_of(STAT_orig_data_size), 0);
    ck_assert_uint_eq(stat_of(STAT_compr_data_size), 0);
    ck_assert_uint_eq(stat_of(STAT_same_pages), 0);
    ck_assert_uint_eq(stat_of(STAT_huge_pages), 0);
    ck_assert_uint_eq(stat_of(STAT_huge_pages_since), 3);
    ck_assert_uint_eq(stat_of(STAT_pages_trimmed), 3);
}
END_TEST

START_TEST(reads_count_pages_and_parts)
{
    write(1, SAMPLE_TEXT);
    ck_assert_int_eq(volume_read(volume, PAGE / 2, PAGE, page), 0);
    ck_assert_uint_eq(stat_of(STAT_pages_read), 2);
}
END_TEST

START_TEST(the_peak_is_remembered)
{
    for (unsigned i = 0; i < 100; i++)
        write(i, SAMPLE_RANDOM);
    uint64_t used = stat_of(STAT_mem_used_total);
    ck_assert_int_eq(volume_trim(volume, 0, 4 * MIB), 0);
    ck_assert_uint_lt(stat_of(STAT_mem_used_total), used - 99 * PAGE);
    ck_assert_uint_eq(stat_of(STAT_mem_used_max), used);
}
END_TEST

START_TEST(free_places_are_what_compaction_can_have)
{
    for (unsigned i = 0; i < 160; i++)
        write(i, SAMPLE_RANDOM);
    for (unsigned i = 0; i < 160; i += 2)
        ck_assert_int_eq(volume_trim(volume, i * PAGE, PAGE), 0);
    ck_assert_uint_eq(stat_of(STAT_pool_free_size), 80 * PAGE);
    uint64_t used = stat_of(STAT_mem_used_total);
    ck_assert_uint_eq(volume_compact(volume, NULL), 80 * PAGE);
    ck_assert_uint_eq(stat_of(STAT_mem_used_total), used - 80 * PAGE);
    ck_assert_uint_eq(stat_of(STAT_pool_free_size), 0);
    ck_assert_uint_eq(stat_of(STAT_pages_compacted), 40);
}
END_TEST

START_TEST(failed_writes_are_counted)
{
    sample_page(SAMPLE_RANDOM, 1, page);
    harness_fail(GATE_POOL_ALLOC, 1, true, -1);
    ck_assert_int_eq(volume_write(volume, 0, PAGE, page), -1);
    ck_assert_int_eq(volume_write(volume, 10, 20, page), -1);
    ck_assert(harness_fail_end());
    ck_assert_uint_eq(stat_of(STAT_failed_writes), 2);
    ck_assert_uint_eq(stat_of(STAT_pages_written), 0);
}
END_TEST

HARNESS_MAIN_WITH("unit-stats", setup, teardown, names_are_those_of_the_table,
                  a_new_volume_has_only_its_size_and_tables,
                  gauges_follow_pages_of_every_kind, reads_count_pages_and_parts,
                  the_peak_is_remembered, free_places_are_what_compaction_can_have,
                  failed_writes_are_counted)
