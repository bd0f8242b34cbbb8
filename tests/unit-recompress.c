/* unit-recompress.c - pages compressed anew with a stronger codec, while others use them
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server.h"
#include "stored.h"
#include "told.h"
#include "work.h"

static const struct codec_choice strong = {.id = CODEC_ZSTD, .level = 9};

static int recompress(enum filter_type type, struct work *work)
{
    const struct filter filter = {.type = type, .max_bytes = UINT64_MAX};

    *work = (struct work){0};
    return volume_recompress(volume, strong, &filter, work);
}

START_TEST(recompression_keeps_what_gains_and_tries_the_rest_once)
{
    unsigned char page[PAGE];
    struct work work;

    for (unsigned i = 0; i < 100; i++) { /* what lz4 does not compress well */
        sample_page(SAMPLE_TEXT, i, page);
        model_write_both(&model, volume, (500 + i) * PAGE, PAGE, page);
    }
    uint64_t before = stored_stat(STAT_compr_data_size);
    ck_assert_int_eq(recompress(FILTER_IDLE, &work), 0);
    ck_assert_uint_eq(work.pages, 0);
    ck_assert_int_eq(recompress(FILTER_ALL, &work), 0);
    ck_assert_uint_ge(work.pages, 100);
    ck_assert_uint_eq(stored_stat(STAT_compr_data_size), before - work.bytes);
    ck_assert_uint_eq(stored_stat(STAT_pages_recompressed), work.pages);
    harness_check(volume);
    model_compare_all(&model, volume);

    /* Nothing is left to gain: the tries are remembered. */
    uint64_t recompressed = work.pages;
    ck_assert_int_eq(recompress(FILTER_ALL, &work), 0);
    ck_assert_uint_eq(work.pages, 0);

    /* A page that is written is another one. */
    sample_page(SAMPLE_TEXT, 7, page);
    model_write_both(&model, volume, 500 * PAGE, PAGE, page);
    ck_assert_int_eq(recompress(FILTER_ALL, &work), 0);
    ck_assert_uint_eq(work.pages, 1);
    ck_assert_uint_eq(stored_stat(STAT_pages_recompressed), recompressed + 1);
    stored_write_back();
    model_compare_all(&model, volume);
}
END_TEST

/* With just as much room as the codec itself takes. */
START_TEST(recompression_without_room_says_so_or_makes_some)
{
    unsigned char page[PAGE];
    struct volume *alone =
        harness_open("size", "8M", "compressor", "lz4", "control", "unused", NULL);
    const struct filter all = {.type = FILTER_ALL, .max_bytes = UINT64_MAX};
    uint64_t limit = 0;
    struct work work = {0};
    int r = -ENOSPC;

    for (unsigned i = 0; i < 1500; i++) {
        sample_page(SAMPLE_TEXT, i, page);
        ck_assert_int_eq(volume_write(alone, i * PAGE, PAGE, page), 0);
    }
    limit = harness_stat(alone, STAT_mem_used_total);
    while (work.total == 0) { /* the codec does not find room */
        char text[32];

        snprintf(text, sizeof text, "%llu", (unsigned long long)(limit += 16384));
        ck_assert_int_eq(told_set(alone, "memory-limit", text), 0);
        work = (struct work){0};
        r = volume_recompress(alone, strong, &all, &work);
        ck_assert(work.total > 0 || r == -ENOSPC);
    }
    ck_assert(r == -ENOSPC || (r == 0 && work.pages >= 1000));
    harness_close(alone);
}
END_TEST

/* Half of the pages become shorter, here and there in RAM, and nobody writes who would move what stays
 * together. */
START_TEST(recompression_gives_ram_back_as_it_goes)
{
    unsigned char page[PAGE];
    struct volume *alone =
        harness_open("size", "64M", "compressor", "lz4", "control", "unused", NULL);
    struct filter half = {.type = FILTER_ALL};
    struct work work = {0};

    for (unsigned i = 0; i < 16000; i++) {
        sample_page(SAMPLE_TEXT, i, page);
        ck_assert_int_eq(volume_write(alone, i * 7919 % 16000 * PAGE, PAGE, page), 0);
    }
    half.max_bytes = harness_stat(alone, STAT_compr_data_size) / 2;
    ck_assert_int_eq(volume_recompress(alone, strong, &half, &work), 0);
    ck_assert_uint_ge(work.pages, 7000);
    ck_assert_uint_lt(harness_stat(alone, STAT_pool_free_size), 5 << 20);
    harness_close(alone);
}
END_TEST

START_TEST(recompression_does_not_make_pages_warm)
{
    struct work work = {0};
    struct volume_slot slot;
    unsigned char page[PAGE];

    sample_page(SAMPLE_TEXT, 1, page);
    model_write_both(&model, volume, 500 * PAGE, PAGE, page);
    ck_assert_int_eq(volume_mark_idle(volume, 0, &work), 0);
    ck_assert_int_eq(recompress(FILTER_IDLE, &work), 0);
    ck_assert_uint_ge(work.pages, 1);
    ck_assert_uint_eq(volume_look(volume, 500, 1, &slot), 1);
    ck_assert_str_eq(slot.marks, "i");
    ck_assert_str_eq(slot.codec, "zstd");
}
END_TEST

static void recompress_all_the_time(void *opaque)
{
    const struct filter filter = {.type = FILTER_ALL, .max_bytes = UINT64_MAX};

    (void)opaque;
    for (unsigned i = 0; i < 10 || !stored_writers_end; i++) {
        struct work work = {0};
        struct codec_choice choice = {.id = CODEC_ZSTD, .level = i % 2 ? 5 : 1};

        MUST(volume_recompress(volume, choice, &filter, &work) == 0,
             "no recompression");
    }
}

START_TEST(recompression_under_writers_and_compaction)
{
    struct actor *actors[4];
    unsigned rounds = 2 + (unsigned)harness_ops(20);

    stored_writers_end = false;
    for (unsigned i = 0; i < 3; i++)
        actors[i] = actor_start(stored_write_and_read, (void *)(uintptr_t)i);
    actors[3] = actor_start(recompress_all_the_time, NULL);
    for (unsigned i = 0; i < rounds; i++) {
        stored_write_anew(i % 7, 7);
        volume_compact(volume, NULL);
    }
    stored_writers_end = true;
    for (unsigned i = 0; i < 4; i++)
        actor_go(actors[i]);
    harness_check(volume);
}
END_TEST

static void recompress_once(void *opaque)
{
    struct work work = {0};
    const struct filter filter = {.type = FILTER_ALL, .max_bytes = UINT64_MAX};
    struct codec_choice choice = {.id = CODEC_ZSTD, .level = 1};

    (void)opaque;
    MUST(volume_recompress(volume, choice, &filter, &work) == 0, "no recompression");
}

START_TEST(recompression_and_a_change_to_its_codec_at_the_same_time)
{
    unsigned rounds = harness_is_slow() ? 5 : 100;

    for (unsigned i = 0; i < rounds; i++) {
        stored_teardown();
        stored_setup();
        struct actor *actor = actor_start(recompress_once, NULL);
        ck_assert_int_eq(told_set(volume, "compressor", "zstd:1"), 0);
        actor_go(actor);
        stored_write_anew(i % 7, 7);
        model_compare_all(&model, volume);
    }
}
END_TEST

/* -- What it says. -- */

HARNESS_MAIN_WITH("unit-recompress", stored_setup, stored_teardown,
                  recompression_keeps_what_gains_and_tries_the_rest_once,
                  recompression_without_room_says_so_or_makes_some,
                  recompression_gives_ram_back_as_it_goes,
                  recompression_does_not_make_pages_warm,
                  recompression_under_writers_and_compaction,
                  recompression_and_a_change_to_its_codec_at_the_same_time)
