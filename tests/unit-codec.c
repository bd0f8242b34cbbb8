/* unit-codec.c - core/codec.h: what every codec must do, at every level
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "page.h"
#include "sample.h"
#include "size-class.h"

#define GUARD 64
#define GUARD_BYTE 0xc3

/* A codec with contexts in memory of exactly the size it asked for: a sanitizer or valgrind sees
 * a byte more. */
struct subject {
    const struct codec *codec;
    int level;
    void *compressor_memory, *decompressor_memory;
    void *compressor, *decompressor;
};

static void *memory_for(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);

    ck_assert_ptr_nonnull(memory);
    return memory;
}

static void subject_open(struct subject *subject, const struct codec *codec, int level)
{
    *subject = (struct subject){.codec = codec, .level = level};
    if (codec->compressor_init) {
        size_t bytes = codec->compressor_bytes(level);
        subject->compressor_memory = memory_for(bytes);
        subject->compressor =
            codec->compressor_init(subject->compressor_memory, bytes, level);
        ck_assert_msg(subject->compressor, "%s:%d", codec->name, level);
    }
    if (codec->decompressor_init) {
        size_t bytes = codec->decompressor_bytes();
        subject->decompressor_memory = memory_for(bytes);
        subject->decompressor =
            codec->decompressor_init(subject->decompressor_memory, bytes);
        ck_assert_ptr_nonnull(subject->decompressor);
    }
}

static void subject_close(struct subject *subject)
{
    free(subject->compressor_memory);
    free(subject->decompressor_memory);
}

/* Runs TEST with each codec at each level. */
static void for_each(void (*test)(struct subject *subject))
{
    for (unsigned id = 0; id < CODEC_COUNT; id++)
        for (int level = codecs[id]->level_min; level <= codecs[id]->level_max;
             level++) {
            struct subject subject;

            subject_open(&subject, codecs[id], level);
            test(&subject);
            subject_close(&subject);
        }
}

static uint32_t compress(struct subject *subject, const void *page, uint32_t room,
                         void *out)
{
    return subject->codec->compress(subject->compressor, page, room, out);
}

static int decompress(struct subject *subject, const void *object, uint32_t length,
                      void *page)
{
    return subject->codec->decompress(subject->decompressor, object, length, page);
}

static void guard(unsigned char *end)
{
    memset(end, GUARD_BYTE, GUARD);
}

static void assert_guarded(const unsigned char *end)
{
    for (unsigned i = 0; i < GUARD; i++)
        ck_assert_uint_eq(end[i], GUARD_BYTE);
}

static void round_trip(struct subject *subject)
{
    unsigned char page[PAGE_BYTES], object[PAGE_BYTES + GUARD],
        back[PAGE_BYTES + GUARD];
    unsigned long seeds = harness_ops(20);

    for (enum sample kind = 0; kind < SAMPLE_COUNT; kind++)
        for (unsigned long seed = 0; seed < seeds; seed++) {
            sample_page(kind, seed, page);
            guard(object + COMPRESSED_BYTES_MAX);
            guard(back + PAGE_BYTES);
            uint32_t length = compress(subject, page, COMPRESSED_BYTES_MAX, object);
            assert_guarded(object + COMPRESSED_BYTES_MAX);
            if (length == 0)
                continue;
            ck_assert_uint_le(length, COMPRESSED_BYTES_MAX);
            ck_assert_int_eq(decompress(subject, object, length, back), 0);
            assert_guarded(back + PAGE_BYTES);
            ck_assert_mem_eq(back, page, PAGE_BYTES);
        }
}

START_TEST(what_comes_out_is_what_went_in)
{
    for_each(round_trip);
}
END_TEST

static void compresses(struct subject *subject)
{
    unsigned char page[PAGE_BYTES], object[PAGE_BYTES];

    if (subject->codec == &codec_none)
        return;
    /* A context that is too small shows as pages that do not compress. */
    sample_page(SAMPLE_TEXT, 1, page);
    uint32_t length = compress(subject, page, COMPRESSED_BYTES_MAX, object);
    ck_assert_msg(length > 0 && length < 3000, "%s:%d makes %u of a page of text",
                  subject->codec->name, subject->level, length);
    sample_page(SAMPLE_SPARSE, 1, page);
    length = compress(subject, page, COMPRESSED_BYTES_MAX, object);
    ck_assert_uint_gt(length, 0);
    ck_assert_uint_lt(length, 200);
}

START_TEST(text_gets_smaller_at_every_level)
{
    for_each(compresses);
}
END_TEST

static void refuses_random(struct subject *subject)
{
    unsigned char page[PAGE_BYTES], object[PAGE_BYTES + GUARD];

    for (unsigned seed = 0; seed < 5; seed++) {
        sample_page(SAMPLE_RANDOM, seed, page);
        guard(object + COMPRESSED_BYTES_MAX);
        ck_assert_uint_eq(compress(subject, page, COMPRESSED_BYTES_MAX, object), 0);
        assert_guarded(object + COMPRESSED_BYTES_MAX);
    }
}

START_TEST(incompressible_pages_give_0)
{
    for_each(refuses_random);
}
END_TEST

static void keeps_to_room(struct subject *subject)
{
    unsigned char page[PAGE_BYTES], object[PAGE_BYTES + GUARD], back[PAGE_BYTES];

    sample_page(SAMPLE_TEXT, 3, page);
    uint32_t needed = compress(subject, page, COMPRESSED_BYTES_MAX, object);
    if (needed == 0)
        return;
    for (uint32_t room = 1; room < needed + 20; room += room + 40 < needed ? 17 : 1) {
        guard(object + room);
        uint32_t length = compress(subject, page, room, object);
        assert_guarded(object + room);
        ck_assert_uint_le(length, room);
        /* Whatever came out is an object all the same. */
        if (length)
            ck_assert_int_eq(decompress(subject, object, length, back), 0);
        if (length)
            ck_assert_mem_eq(back, page, PAGE_BYTES);
    }
    ck_assert_uint_ne(compress(subject, page, needed + 16, object), 0);
}

START_TEST(compress_keeps_to_its_room)
{
    for_each(keeps_to_room);
}
END_TEST

/* Decompresses from memory of exactly LENGTH bytes. */
static void decompress_bad(struct subject *subject, const unsigned char *object,
                           uint32_t length)
{
    unsigned char page[PAGE_BYTES + GUARD];
    unsigned char *exact = malloc(length ? length : 1);

    ck_assert_ptr_nonnull(exact);
    memcpy(exact, object, length);
    guard(page + PAGE_BYTES);
    int r = decompress(subject, exact, length, page);
    ck_assert(r == 0 || r == -EIO);
    assert_guarded(page + PAGE_BYTES);
    free(exact);
}

static void survives_damage(struct subject *subject)
{
    unsigned char page[PAGE_BYTES], object[PAGE_BYTES], bad[PAGE_BYTES],
        back[PAGE_BYTES];
    unsigned long flips = harness_ops(3000);
    uint64_t random = 1;

    /* Objects of all levels look alike. */
    if (subject->level != subject->codec->level_max && subject->level != 1)
        return;
    sample_page(SAMPLE_TEXT, 5, page);
    uint32_t length = compress(subject, page, COMPRESSED_BYTES_MAX, object);
    if (length == 0)
        return;
    for (uint32_t cut = 0; cut < length; cut += harness_is_slow() ? 37 : 3)
        decompress_bad(subject, object, cut);
    for (unsigned long i = 0; i < flips; i++) {
        memcpy(bad, object, length);
        for (uint64_t n = harness_random(&random) % 3 + 1; n > 0; n--)
            bad[harness_random(&random) % length] ^= 1u << harness_random(&random) % 8;
        decompress_bad(subject, bad, length);
    }
    for (unsigned long i = 0; i < flips; i++) {
        uint32_t bytes = (uint32_t)(harness_random(&random) % COMPRESSED_BYTES_MAX) + 1;

        for (uint32_t at = 0; at < bytes; at++)
            bad[at] = (unsigned char)harness_random(&random);
        decompress_bad(subject, bad, bytes);
    }
    /* The context is none the worse for it. */
    ck_assert_int_eq(decompress(subject, object, length, back), 0);
    ck_assert_mem_eq(back, page, PAGE_BYTES);
}

START_TEST(damaged_objects_never_write_past_the_page)
{
    for_each(survives_damage);
}
END_TEST

static void cut_is_refused(struct subject *subject)
{
    unsigned char page[PAGE_BYTES], object[PAGE_BYTES], back[PAGE_BYTES];

    sample_page(SAMPLE_TEXT, 6, page);
    uint32_t length = compress(subject, page, COMPRESSED_BYTES_MAX, object);
    if (length)
        ck_assert_int_eq(decompress(subject, object, length - 1, back), -EIO);
    ck_assert_int_eq(decompress(subject, object, 0, back), -EIO);
}

START_TEST(an_object_cut_short_is_an_error)
{
    for_each(cut_is_refused);
}
END_TEST

START_TEST(a_table_entry_has_its_name_and_number)
{
    ck_assert_str_eq(codecs[CODEC_NONE]->name, "none");
    ck_assert_str_eq(codecs[CODEC_LZ4]->name, "lz4");
    ck_assert_str_eq(codecs[CODEC_ZSTD]->name, "zstd");
    /* In memory that outlives us. */
    ck_assert_uint_eq(CODEC_NONE, 0);
    ck_assert_uint_eq(CODEC_LZ4, 1);
    ck_assert_uint_eq(CODEC_ZSTD, 2);
    ck_assert_int_eq(codec_zstd.level_min, -7);
    ck_assert_int_eq(codec_zstd.level_max, 19);
}
END_TEST

HARNESS_MAIN("unit-codec", what_comes_out_is_what_went_in,
             text_gets_smaller_at_every_level, incompressible_pages_give_0,
             compress_keeps_to_its_room, damaged_objects_never_write_past_the_page,
             an_object_cut_short_is_an_error, a_table_entry_has_its_name_and_number)
