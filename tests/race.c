/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "race.h"

#include <string.h>

#include "sample.h"

struct volume *race_volume;
struct model race_model;
unsigned char race_old[PAGE], race_a[PAGE], race_b[PAGE];
static unsigned char word_page[PAGE], huge_page[PAGE];

/* Random bytes per page: objects of one class, some 20 in a span. */
#define OBJECT_BYTES 3000

void race_setup(void)
{
    race_setup_with(NULL);
}

void race_setup_with(struct backing *backing)
{
    unsigned char page[PAGE];

    race_volume = harness_open_with(backing, "size", "4M", "compressor", "lz4", NULL);
    model_open(&race_model, RACE_SIZE);
    for (unsigned i = 0; i < RACE_OTHERS; i++) {
        sample_sized(OBJECT_BYTES, 1000 + i, page);
        model_write_both(&race_model, race_volume, i * PAGE, PAGE, page);
    }
    sample_sized(OBJECT_BYTES, 1, race_old);
    sample_sized(OBJECT_BYTES, 2, race_a);
    sample_sized(OBJECT_BYTES, 3, race_b);
    sample_page(SAMPLE_SAME, 4, word_page);
    sample_page(SAMPLE_RANDOM, 5, huge_page);
    model_write_both(&race_model, race_volume, RACE_AT, PAGE, race_old);
}

void race_teardown(void)
{
    model_compare_all(&race_model, race_volume);
    model_compare_extents(&race_model, race_volume, 0, RACE_SIZE);
    harness_check(race_volume);
    volume_compact(race_volume, NULL);
    model_compare_all(&race_model, race_volume);
    harness_close(race_volume);
    model_close(&race_model);
}

static void write_page(const unsigned char *page)
{
    ck_assert_int_eq(volume_write(race_volume, RACE_AT, PAGE, page), 0);
}

void race_write_a(void *opaque)
{
    (void)opaque;
    write_page(race_a);
}

void race_write_b(void *opaque)
{
    (void)opaque;
    write_page(race_b);
}

void race_write_word(void *opaque)
{
    (void)opaque;
    write_page(word_page);
}

void race_write_huge(void *opaque)
{
    (void)opaque;
    write_page(huge_page);
}

void race_write_part(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(volume_write(race_volume, RACE_AT + RACE_PART_AT, RACE_PART_BYTES,
                                  race_a + RACE_PART_AT),
                     0);
}

void race_write_other_part(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(volume_write(race_volume, RACE_AT + RACE_OTHER_AT,
                                  RACE_OTHER_BYTES, race_b + RACE_OTHER_AT),
                     0);
}

void race_zero_other_part(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(
        volume_zero(race_volume, RACE_AT + RACE_OTHER_AT, RACE_OTHER_BYTES), 0);
}

void race_trim(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(volume_trim(race_volume, RACE_AT, PAGE), 0);
}

void race_zero(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(volume_zero(race_volume, RACE_AT, PAGE), 0);
}

void race_write_back_and_forth(void *opaque)
{
    (void)opaque;
    write_page(race_b);
    write_page(race_old);
}

static void read_page(const unsigned char *should)
{
    unsigned char page[PAGE];

    ck_assert_int_eq(volume_read(race_volume, RACE_AT, PAGE, page), 0);
    ck_assert_mem_eq(page, should, PAGE);
}

void race_read_old(void *opaque)
{
    (void)opaque;
    read_page(race_old);
}

void race_read_a(void *opaque)
{
    (void)opaque;
    read_page(race_a);
}

void race_read_zeroes(void *opaque)
{
    static const unsigned char zeroes[PAGE];

    (void)opaque;
    read_page(zeroes);
}

void race_compact(void *opaque)
{
    (void)opaque;
    volume_compact(race_volume, NULL);
}

void race_take_the_place(void *opaque)
{
    unsigned char page[PAGE];

    race_trim(opaque);
    for (unsigned i = 0; i < RACE_OTHERS; i++) {
        sample_sized(OBJECT_BYTES, 3000 + i, page);
        model_write_both(&race_model, race_volume, (300 + i) * PAGE, PAGE, page);
    }
}

void race_make_holes(void)
{
    for (unsigned i = 0; i < RACE_OTHERS; i += 2)
        if (i != RACE_PAGE)
            model_trim_both(&race_model, race_volume, i * PAGE, PAGE);
}

void race_expect(const unsigned char *page)
{
    model_write(&race_model, RACE_AT, PAGE, page);
}

void race_expect_a(void)
{
    race_expect(race_a);
}

void race_expect_nothing_new(void)
{
}

void race_expect_zeroes(void)
{
    model_zero(&race_model, RACE_AT, PAGE);
}

void race_expect_part(void)
{
    model_write(&race_model, RACE_AT + RACE_PART_AT, RACE_PART_BYTES,
                race_a + RACE_PART_AT);
}

void race_expect_other_part(void)
{
    model_write(&race_model, RACE_AT + RACE_OTHER_AT, RACE_OTHER_BYTES,
                race_b + RACE_OTHER_AT);
}
