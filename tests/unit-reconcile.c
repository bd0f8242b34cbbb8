/* unit-reconcile.c - after a random trace the counters say exactly what was done
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <string.h>

#include "stored.h"

struct tally {
    uint64_t read, written, trimmed;
    uint64_t fetched, promoted, left, huge;
};

static uint64_t random_state;

static uint64_t below(uint64_t n)
{
    return harness_random(&random_state) % n;
}

static bool is_zeroes(uint64_t page)
{
    static const unsigned char zeroes[PAGE];

    return memcmp(model.bytes + page * PAGE, zeroes, PAGE) == 0;
}

static bool is_same_filled(uint64_t page)
{
    const unsigned char *bytes = model.bytes + page * PAGE;

    return memcmp(bytes, bytes + 8, PAGE - 8) == 0;
}

static uint64_t parts_of(uint64_t offset, uint64_t bytes)
{
    return (offset + bytes - 1) / PAGE - offset / PAGE + 1;
}

/* Pages of the range, all of which are there whole or in part, that are in that state. */
static uint64_t count_in(char state, uint64_t offset, uint64_t bytes)
{
    static struct volume_slot slots[SIZE / PAGE];
    uint64_t from = offset / PAGE, count = parts_of(offset, bytes), found = 0;

    ck_assert_uint_eq(volume_look(volume, from, count, slots), count);
    for (uint64_t i = 0; i < count; i++)
        found += slots[i].state == state;
    return found;
}

/* Of the first and the last page of the range those that are touched in part. */
static uint64_t stored_in_part(uint64_t offset, uint64_t bytes)
{
    uint64_t end = offset + bytes, found = 0;

    for (uint64_t page = offset / PAGE; page * PAGE < end; page++)
        if (page * PAGE < offset || (page + 1) * PAGE > end)
            found += count_in('w', page * PAGE, PAGE);
    return found;
}

static void step(struct tally *tally)
{
    uint64_t stored;
    static unsigned char data[4 * PAGE];
    uint64_t page = below(SIZE / PAGE - 4);
    uint64_t offset = page * PAGE, bytes = (1 + below(4)) * PAGE;

    switch (below(8)) {
    case 0:
    case 1:
    case 2:
        sample_fill((enum sample)below(SAMPLE_COUNT), below(1000), bytes, data);
        model_write_both(&model, volume, offset, bytes, data);
        tally->written += bytes / PAGE;
        tally->huge += count_in('h', offset, bytes);
        break;
    case 3: /* parts of pages */
        offset += 1 + below(PAGE);
        bytes = 1 + below(PAGE);
        sample_fill(SAMPLE_RANDOM, below(1000), bytes, data);
        tally->fetched += stored_in_part(offset, bytes);
        model_write_both(&model, volume, offset, bytes, data);
        tally->written += parts_of(offset, bytes);
        tally->huge += count_in('h', offset, bytes);
        break;
    case 4:
    case 5:
        offset += below(PAGE);
        stored = count_in('w', offset, bytes);
        model_compare(&model, volume, offset, bytes);
        tally->read += parts_of(offset, bytes);
        tally->fetched += stored;
        tally->promoted += stored - count_in('w', offset, bytes);
        break;
    case 6:
        for (uint64_t i = page; i < page + bytes / PAGE; i++)
            tally->trimmed += !is_zeroes(i);
        model_trim_both(&model, volume, offset, bytes);
        break;
    case 7:
        stored = count_in('w', 0, SIZE);
        if (below(20) == 0) {
            stored_write_back();
            tally->left += count_in('w', 0, SIZE) - stored;
        } else if (below(4) == 0) {
            uint64_t there = count_in('w', offset, bytes);

            ck_assert_int_eq(volume_cache(volume, offset, bytes), 0);
            tally->fetched += there;
            tally->promoted += stored - count_in('w', 0, SIZE);
        }
        break;
    }
}

START_TEST(counters_are_those_of_the_model)
{
    struct tally tally = {.written = PAGES};
    static struct volume_slot slots[SIZE / PAGE];
    uint64_t present = 0, same = 0, objects = 0, by_letter[256] = {0};
    uint64_t huge_before = stored_stat(STAT_huge_pages_since);
    unsigned long steps = 200 + harness_ops(6000);

    random_state = (uint64_t)_i + 1;
    for (unsigned long i = 0; i < steps; i++)
        step(&tally);

    for (uint64_t page = 0; page < SIZE / PAGE; page++) {
        present += !is_zeroes(page);
        same += !is_zeroes(page) && is_same_filled(page);
    }
    ck_assert_uint_eq(stored_stat(STAT_pages_read), tally.read);
    ck_assert_uint_eq(stored_stat(STAT_pages_written), tally.written);
    ck_assert_uint_eq(stored_stat(STAT_pages_trimmed), tally.trimmed);
    ck_assert_uint_eq(stored_stat(STAT_orig_data_size), present * PAGE);
    ck_assert_uint_eq(stored_stat(STAT_same_pages), same);
    ck_assert_uint_eq(stored_stat(STAT_compressed_pages) +
                          stored_stat(STAT_huge_pages) + stored_stat(STAT_bd_count),
                      present - same);
    ck_assert_uint_eq(stored_stat(STAT_failed_reads), 0);
    ck_assert_uint_eq(stored_stat(STAT_failed_writes), 0);
    ck_assert_uint_eq(stored_stat(STAT_merges_repeated), 0);
    ck_assert_uint_eq(stored_stat(STAT_bd_writes), tally.left);
    ck_assert_uint_eq(stored_stat(STAT_bd_reads), tally.fetched);
    ck_assert_uint_eq(stored_stat(STAT_promotions), tally.promoted);
    ck_assert_uint_eq(stored_stat(STAT_huge_pages_since) - huge_before, tally.huge);

    ck_assert_uint_eq(volume_look(volume, 0, SIZE / PAGE, slots), SIZE / PAGE);
    for (uint64_t i = 0; i < SIZE / PAGE; i++) {
        by_letter[(unsigned char)slots[i].state]++;
        if (slots[i].state == 'c' || slots[i].state == 'h')
            objects += slots[i].length;
    }
    ck_assert_uint_eq(stored_stat(STAT_compr_data_size), objects);
    ck_assert_uint_eq(by_letter['-'], SIZE / PAGE - present);
    ck_assert_uint_eq(by_letter['s'], same);
    ck_assert_uint_eq(by_letter['c'], stored_stat(STAT_compressed_pages));
    ck_assert_uint_eq(by_letter['h'], stored_stat(STAT_huge_pages));
    ck_assert_uint_eq(by_letter['w'], stored_stat(STAT_bd_count));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("unit-reconcile");
    TCase *tcase = tcase_create("unit-reconcile");

    tcase_add_checked_fixture(tcase, stored_setup, stored_teardown);
    tcase_add_loop_test(tcase, counters_are_those_of_the_model, 0, 4);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
