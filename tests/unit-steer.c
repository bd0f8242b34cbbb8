/* unit-steer.c - what a volume is told while it runs, and what it says of itself
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "server.h"
#include "stored.h"
#include "told.h"
#include "work.h"
#include "writeback-state.h"

static int set(const char *key, const char *value)
{
    return told_set(volume, key, value);
}

static const struct report *report(void)
{
    return told_report(volume);
}

static uint64_t reported(enum stat_id stat)
{
    return report()->stats.values[stat];
}

/* -- Parameters. -- */

START_TEST(a_change_of_compressor_leaves_every_page)
{
    static const char *const codecs_in_turn[] = {"zstd:3",  "none",    "lz4",
                                                 "zstd:-1", "zstd:19", "lz4"};

    for (unsigned i = 0; i < sizeof codecs_in_turn / sizeof *codecs_in_turn; i++) {
        ck_assert_int_eq(set("compressor", codecs_in_turn[i]), 0);
        stored_write_anew(i, 7);
        model_compare_all(&model, volume);
        harness_check(volume);
    }
    stored_write_back_all();
    model_compare_all(&model, volume);
}
END_TEST

START_TEST(compressors_change_under_writers)
{
    struct actor *actors[3];
    unsigned rounds = (unsigned)harness_ops(60);

    stored_writers_end = false;
    for (unsigned i = 0; i < 3; i++)
        actors[i] = actor_start(stored_write_and_read, (void *)(uintptr_t)i);
    for (unsigned i = 0; i < rounds + 4; i++)
        ck_assert_int_eq(set("compressor", i % 3 == 0   ? "zstd:1"
                                           : i % 3 == 1 ? "lz4"
                                                        : "zstd:5"),
                         0);
    stored_writers_end = true;
    for (unsigned i = 0; i < 3; i++)
        actor_go(actors[i]);
    harness_check(volume);
}
END_TEST

START_TEST(what_is_refused_changes_nothing)
{
    static const struct {
        const char *key, *value;
    } table[] = {
        {"compressor", "gzip"},
        {"compressor", "zstd:20"},
        {"memory-limit", "x"},
        {"memory-limit", "1M"},
        {"idle-age", "0"},
        {"idle-age", "soon"},
        {"writeback-limit", "1/day"},
        {"size", "1G"},
        {"", ""},
        {" compressor", "zstd:1"},
        {"ompressor", "zstd:1"},
        {"compressor memory-limit", "1G"},
        {"compressor", "none "},
        {"memory-limit", "-1"},
    };

    for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
        struct report before = *report();

        told = (struct told){
            .volume = volume,
            .pairs = {{"writeback-limit", "1G/day"}, {table[i].key, table[i].value}},
            .count = 2};
        told_do();
        ck_assert_msg(told.result < 0, "%s=%s is taken", table[i].key, table[i].value);
        ck_assert_uint_gt(strlen(told.reason.text), 0);
        struct report after = *report();
        ck_assert_int_eq(after.compressor.id, before.compressor.id);
        ck_assert_uint_eq(after.idle_age_s, before.idle_age_s);
        ck_assert_uint_eq(after.writeback_limit, before.writeback_limit);
        ck_assert_uint_eq(after.stats.values[STAT_mem_limit],
                          before.stats.values[STAT_mem_limit]);
        ck_assert_uint_eq(after.stats.values[STAT_mem_used_total],
                          before.stats.values[STAT_mem_used_total]);
    }
}
END_TEST

START_TEST(a_lower_limit_is_reached_by_eviction)
{
    unsigned char page[PAGE];
    char text[32];

    for (unsigned i = PAGES; i < 1500; i++) {
        sample_sized(OBJECT_BYTES, i, page);
        model_write_both(&model, volume, i * PAGE, PAGE, page);
    }
    uint64_t used = reported(STAT_mem_used_total), limit = used - 2 * MIB;

    snprintf(text, sizeof text, "%llu", (unsigned long long)limit);
    ck_assert_int_eq(set("memory-limit", text), 0);
    ck_assert_uint_eq(reported(STAT_mem_limit), limit);
    while (reported(STAT_mem_used_total) > limit)
        ;
    ck_assert_uint_gt(reported(STAT_bd_count), 0);
    stored_write_anew(0, 3);
    ck_assert_uint_le(reported(STAT_mem_used_total), limit);
    ck_assert_int_eq(set("memory-limit", "none"), -EINVAL); /* nothing would evict */
    ck_assert_int_eq(set("memory-limit", "1G"), 0);
    stored_write_anew(0, 2);
}
END_TEST

START_TEST(a_limit_that_cannot_be_kept_says_by_how_much)
{
    unsigned char page[PAGE];
    struct volume *alone =
        harness_open("size", "8M", "compressor", "lz4", "control", "unused", NULL);
    char text[32];

    for (unsigned i = 0; i < 1000; i++) {
        sample_page(SAMPLE_RANDOM, i, page);
        ck_assert_int_eq(volume_write(alone, i * PAGE, PAGE, page), 0);
    }
    uint64_t used = harness_stat(alone, STAT_mem_used_total);
    snprintf(text, sizeof text, "%llu", (unsigned long long)used - 1000000);
    ck_assert_int_eq(told_set(alone, "memory-limit", text), -EBUSY);
    ck_assert_ptr_nonnull(strstr(told.reason.text, "1000000 too many"));
    ck_assert_uint_eq(harness_stat(alone, STAT_mem_limit), 0);
    snprintf(text, sizeof text, "%llu", (unsigned long long)used);
    ck_assert_int_eq(told_set(alone, "memory-limit", text), 0);
    sample_page(SAMPLE_RANDOM, 1, page);
    ck_assert_int_eq(volume_write(alone, 1500 * PAGE, PAGE, page), -ENOSPC);
    ck_assert_int_eq(told_set(alone, "memory-limit", "none"), 0);
    ck_assert_int_eq(volume_write(alone, 1500 * PAGE, PAGE, page), 0);
    ck_assert_int_eq(told_set(alone, "idle-age", "60"), -EINVAL);
    harness_close(alone);
}
END_TEST

START_TEST(a_limit_counts_the_compressor_that_comes_with_it)
{
    unsigned char page[PAGE];
    struct volume *alone =
        harness_open("size", "8M", "compressor", "lz4", "memory-limit", "64M",
                     "control", "unused", NULL);
    char text[32];

    for (unsigned i = 0; i < 1000; i++) {
        sample_page(SAMPLE_RANDOM, i, page);
        ck_assert_int_eq(volume_write(alone, i * PAGE, PAGE, page), 0);
    }
    snprintf(text, sizeof text, "%llu",
             (unsigned long long)harness_stat(alone, STAT_mem_used_total) + 65536);
    told = (struct told){.volume = alone,
                         .pairs = {{"compressor", "zstd:19"}, {"memory-limit", text}},
                         .count = 2};
    told_do();
    ck_assert_int_eq(told.result, -EBUSY);
    ck_assert_uint_eq(harness_stat(alone, STAT_mem_limit), 64 * MIB);
    for (unsigned i = 0; i < 1000; i++) {
        sample_page(SAMPLE_RANDOM, i + 5000, page);
        ck_assert_int_eq(volume_write(alone, i * PAGE, PAGE, page), 0);
    }
    harness_close(alone);
}
END_TEST

static int write_back(enum filter_type type, uint64_t max_bytes, struct work *work)
{
    const struct filter filter = {.type = type, .max_bytes = max_bytes};

    return volume_writeback_some(volume, &filter, work);
}

/* Two parameters at once. */
static int set_both(const char *key, const char *value, const char *other,
                    const char *other_value)
{
    told = (struct told){
        .volume = volume, .pairs = {{key, value}, {other, other_value}}, .count = 2};
    told_do();
    return told.result;
}

static void fill_more(void)
{
    unsigned char page[PAGE];

    for (unsigned i = PAGES; i < 1500; i++) {
        sample_sized(OBJECT_BYTES, i, page);
        model_write_both(&model, volume, i * PAGE, PAGE, page);
    }
}

static void say_limit(char text[32], int64_t beside_used)
{
    snprintf(text, 32, "%lld",
             (long long)reported(STAT_mem_used_total) + (long long)beside_used);
}

START_TEST(a_limit_that_the_write_budget_cannot_pay_for_is_refused)
{
    uint64_t before = reported(STAT_mem_limit);
    struct work work = {0};
    char text[32];

    fill_more();
    ck_assert_int_eq(set("writeback-limit", "16M/day"), 0); /* an eighth at once */
    ck_assert_int_eq(write_back(FILTER_ALL, 3 * MIB / 2, &work), 0);
    fill_more(); /* and all is in RAM again */
    say_limit(text, -2 * (int64_t)MIB);
    ck_assert_int_eq(set("memory-limit", text), -EBUSY);
    ck_assert_ptr_nonnull(strstr(told.reason.text, "writeback-limit lets"));
    ck_assert_uint_eq(reported(STAT_mem_limit), before);
    ck_assert_int_eq(set_both("memory-limit", text, "writeback-limit", "none"), 0);
    stored_write_anew(0, 3);
}
END_TEST

START_TEST(a_limit_that_a_failed_store_makes_no_room_for_is_refused_as_that)
{
    char text[32];

    fill_more();
    faulty_fail(faulty, BACKING_WRITE, UINT32_MAX, -EIO);
    while (report()->backing != BACKING_FAILED)
        ck_assert_int_eq(volume_writeback(volume), -EIO);
    say_limit(text, -2 * (int64_t)MIB);
    ck_assert_int_eq(set("memory-limit", text), -EBUSY);
    ck_assert_ptr_nonnull(strstr(told.reason.text, "takes 0 now"));
    ck_assert_ptr_nonnull(strstr(told.reason.text, "its state is failed"));
    faulty_fail(faulty, BACKING_WRITE, 0, 0);
    ck_assert_int_eq(volume_writeback(volume), 0);
    ck_assert_int_eq(set("memory-limit", text), 0);
}
END_TEST

START_TEST(a_lower_limit_and_a_compressor_come_together)
{
    char text[32];

    fill_more();
    say_limit(text, -1 * (int64_t)MIB);
    ck_assert_int_eq(set_both("memory-limit", text, "compressor", "zstd:1"), 0);
    ck_assert_str_eq(codecs[report()->compressor.id]->name, "zstd");
    while (reported(STAT_mem_used_total) > reported(STAT_mem_limit))
        ;
    stored_write_anew(0, 3);
    model_compare_all(&model, volume);
}
END_TEST

START_TEST(a_compressor_that_is_refused_leaves_nothing_behind)
{
    char text[32];

    fill_more();
    say_limit(text, 600 * 1024); /* decompressors alone would find room */
    ck_assert_int_eq(set("memory-limit", text), 0);
    uint64_t before = reported(STAT_mem_used_total);
    ck_assert_int_eq(set("compressor", "zstd:19"), -ENOSPC);
    ck_assert_uint_le(reported(STAT_mem_used_total), before);
    stored_write_anew(0, 3);
    model_compare_all(&model, volume);
}
END_TEST

/* -- Idle pages, and writeback of some. -- */

#define HUGE_PAGES ((PAGES + 15) / 16)

START_TEST(pages_that_are_used_after_the_marking_are_not_idle)
{
    struct work work = {0};

    ck_assert_int_eq(volume_mark_idle(volume, 0, &work), 0);
    ck_assert_uint_eq(work.pages, PAGES);
    ck_assert_uint_eq(work.done, work.total);
    for (unsigned i = 0; i < PAGES; i += 3)
        ck_assert_int_eq(stored_read_page(i), 0);
    work = (struct work){0};
    ck_assert_int_eq(write_back(FILTER_IDLE, UINT64_MAX, &work), 0);
    ck_assert_uint_eq(work.pages, PAGES - (PAGES + 2) / 3);
    ck_assert_uint_eq(stored_stat(STAT_bd_count), work.pages);
    for (unsigned i = 0; i < PAGES; i++) {
        struct volume_slot slot;

        ck_assert_uint_eq(volume_look(volume, i, 1, &slot), 1);
        ck_assert_int_eq(slot.state == 'w', i % 3 != 0);
    }
}
END_TEST

START_TEST(what_idle_pages_leave_behind_is_given_back_without_requests)
{
    enum { MANY = 12000 };
    struct work work = {0};
    unsigned char page[PAGE];

    harness_close(volume);
    faulty = faulty_new(4 * STORE_BYTES);
    volume = harness_open_with(faulty_backing(faulty), "size", "64M", "compressor",
                               "lz4", "memory-limit", "1G", "control", "unused", NULL);
    for (unsigned i = 0; i < MANY; i++) {
        sample_sized(1500, i, page);
        ck_assert_int_eq(volume_write(volume, i * PAGE, PAGE, page), 0);
    }
    ck_assert_int_eq(volume_mark_idle(volume, 0, &work), 0);
    for (unsigned i = 0; i < MANY; i += 8)
        ck_assert_int_eq(volume_read(volume, i * PAGE, PAGE, page), 0);
    ck_assert_int_eq(write_back(FILTER_IDLE, UINT64_MAX, &work), 0);
    ck_assert_uint_eq(stored_stat(STAT_bd_count), MANY - MANY / 8);

    /* Statistics are no requests. */
    uint64_t end = clock_now_ms() + 30000, live = stored_stat(STAT_compr_data_size);
    while (stored_stat(STAT_pool_free_size) > live / 8 + 5 * MIB)
        ck_assert_uint_lt(clock_now_ms(), end);
    harness_check(volume);
    model_trim_both(&model, volume, 0, SIZE);
    ck_assert_int_eq(volume_trim(volume, 0, 64 * MIB), 0);
}
END_TEST

START_TEST(writeback_of_huge_pages_leaves_the_others)
{
    struct work work = {0};

    ck_assert_int_eq(write_back(FILTER_HUGE_IDLE, UINT64_MAX, &work), 0);
    ck_assert_uint_eq(stored_stat(STAT_bd_count), 0); /* none is idle */
    ck_assert_int_eq(write_back(FILTER_HUGE, UINT64_MAX, &work), 0);
    ck_assert_uint_eq(work.pages, HUGE_PAGES);
    ck_assert_uint_eq(stored_stat(STAT_bd_count), HUGE_PAGES);
    ck_assert_uint_eq(stored_stat(STAT_huge_pages), 0);
}
END_TEST

START_TEST(writeback_ends_at_its_bound)
{
    struct work work = {0};

    ck_assert_int_eq(write_back(FILTER_ALL, 10 * PAGE, &work), 0);
    ck_assert_uint_ge(work.bytes, 10 * PAGE);
    ck_assert_uint_lt(work.bytes, 11 * PAGE);
    ck_assert_uint_eq(stored_stat(STAT_bd_evicted_size), work.bytes);
}
END_TEST

START_TEST(work_that_is_cancelled_ends)
{
    struct work work = {.cancelled = true};

    faulty_hold(faulty, BACKING_WRITE);
    ck_assert_int_eq(write_back(FILTER_ALL, UINT64_MAX, &work), -ECANCELED);
    faulty_release(faulty, BACKING_WRITE, 0);
    ck_assert_int_eq(volume_mark_idle(volume, 0, &work), 0);
    ck_assert_uint_eq(work.pages, 0);
    volume_compact(volume, &work);
}
END_TEST

START_TEST(an_age_is_refused_where_pages_do_not_age)
{
    struct work work = {0};

    ck_assert_int_eq(volume_mark_idle(volume, 60, &work), -EINVAL);
    ck_assert_int_eq(set("idle-age", "16"), 0);
    ck_assert_uint_eq(report()->age_unit_ms, 1000);
    ck_assert_int_eq(volume_mark_idle(volume, 31, &work), 0);
    ck_assert_uint_eq(work.pages, 0); /* nothing is so old */
    ck_assert_int_eq(set("idle-age", "auto"), 0);
    ck_assert_uint_eq(report()->age_unit_ms, 60000);
}
END_TEST

/* -- Recompression. -- */

START_TEST(reads_are_counted_by_where_the_page_was)
{
    unsigned char page[PAGE];

    for (unsigned i = 0; i < 61 * 4; i++) /* EMPTY ones */
        ck_assert_int_eq(volume_read(volume, 1000 * PAGE, PAGE, page), 0);
    stored_write_back_all();
    for (unsigned i = 0; i < PAGES; i++)
        ck_assert_int_eq(stored_read_page(i), 0);
    const struct report *now = report();
    ck_assert_uint_ge(now->latencies[LATENCY_SAME].count, 4);
    ck_assert_uint_eq(now->latencies[LATENCY_RAM].count, 0);
    ck_assert_uint_eq(now->latencies[LATENCY_BACKING].count, PAGES);
    ck_assert_uint_eq(now->latencies[LATENCY_IN_FLIGHT].count, 0);
    ck_assert_uint_gt(now->latencies[LATENCY_BACKING].sum_ns, 0);
    ck_assert_int_eq(now->backing, BACKING_OK);
}
END_TEST

START_TEST(promotions_are_counted_by_age)
{
    uint64_t sum = 0;

    stored_write_back_all();
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < PAGES; i++)
            ck_assert_int_eq(stored_read_page(i), 0);
    const struct report *now = report();
    for (unsigned i = 0; i < REPORT_AGES; i++)
        sum += now->promoted[i];
    ck_assert_uint_gt(sum, 0);
    ck_assert_uint_eq(sum, now->stats.values[STAT_promotions]);

    /* Units of another length count anew, or they would be told as other ages. */
    ck_assert_int_eq(set("idle-age", "16000"), 0);
    now = report();
    for (unsigned i = 0; i < REPORT_AGES; i++)
        ck_assert_uint_eq(now->promoted[i], 0);
}
END_TEST

HARNESS_MAIN_WITH("unit-steer", stored_setup, stored_teardown,
                  a_change_of_compressor_leaves_every_page,
                  compressors_change_under_writers, what_is_refused_changes_nothing,
                  a_lower_limit_is_reached_by_eviction,
                  a_limit_that_cannot_be_kept_says_by_how_much,
                  a_limit_counts_the_compressor_that_comes_with_it,
                  pages_that_are_used_after_the_marking_are_not_idle,
                  what_idle_pages_leave_behind_is_given_back_without_requests,
                  writeback_of_huge_pages_leaves_the_others,
                  writeback_ends_at_its_bound, work_that_is_cancelled_ends,
                  an_age_is_refused_where_pages_do_not_age,
                  a_limit_that_the_write_budget_cannot_pay_for_is_refused,
                  a_limit_that_a_failed_store_makes_no_room_for_is_refused_as_that,
                  a_lower_limit_and_a_compressor_come_together,
                  a_compressor_that_is_refused_leaves_nothing_behind,
                  reads_are_counted_by_where_the_page_was,
                  promotions_are_counted_by_age)
