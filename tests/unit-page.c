/* unit-page.c - core/page.h
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "page.h"

#include <string.h>

#include "harness.h"
#include "sample.h"

static unsigned char buffer[PAGE_BYTES + 64];

START_TEST(every_word_repeated_is_same_filled)
{
    static const uint64_t words[] = {0, 1, UINT64_MAX, UINT64_C(0x0102030405060708),
                                     UINT64_C(1) << 63};

    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        for (unsigned shift = 0; shift < 16; shift++) {
            uint64_t word = ~words[i];

            for (unsigned at = 0; at < PAGE_BYTES; at += 8)
                memcpy(buffer + shift + at, &words[i], 8);
            ck_assert(page_is_same_filled(buffer + shift, &word));
            ck_assert_uint_eq(word, words[i]);
        }
}
END_TEST

START_TEST(one_bit_anywhere_makes_a_page_not_same_filled)
{
    uint64_t word;

    memset(buffer, 0xa5, sizeof buffer);
    for (unsigned bit = 0; bit < PAGE_BYTES * 8; bit += bit < 512 ? 1 : 7) {
        buffer[3 + bit / 8] ^= (unsigned char)(1u << bit % 8);
        ck_assert(!page_is_same_filled(buffer + 3, &word));
        buffer[3 + bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    ck_assert(page_is_same_filled(buffer + 3, &word));
}
END_TEST

START_TEST(bytes_around_the_page_are_not_looked_at)
{
    uint64_t word;

    memset(buffer, 7, sizeof buffer);
    memset(buffer + 1, 9, PAGE_BYTES);
    ck_assert(page_is_same_filled(buffer + 1, &word));
}
END_TEST

START_TEST(fill_gives_any_part_of_the_page_and_no_more)
{
    const uint64_t word = UINT64_C(0x8877665544332211);
    unsigned char page[PAGE_BYTES];

    for (unsigned at = 0; at < PAGE_BYTES; at += 8)
        memcpy(page + at, &word, 8);
    for (uint32_t offset = 0; offset < 24; offset++)
        for (uint32_t bytes = 0; bytes < 40; bytes++) {
            memset(buffer, 0xee, sizeof buffer);
            page_fill(word, offset, bytes, buffer + 1);
            ck_assert_mem_eq(buffer + 1, page + offset, bytes);
            ck_assert_uint_eq(buffer[0], 0xee);
            ck_assert_uint_eq(buffer[1 + bytes], 0xee);
        }
    for (uint32_t offset = 0; offset < PAGE_BYTES; offset += 13) {
        page_fill(word, offset, PAGE_BYTES - offset, buffer);
        ck_assert_mem_eq(buffer, page + offset, PAGE_BYTES - offset);
    }
    page_fill(0, 5, 100, buffer);
    memset(page, 0, 100);
    ck_assert_mem_eq(buffer, page, 100);
}
END_TEST

HARNESS_MAIN("unit-page", every_word_repeated_is_same_filled,
             one_bit_anywhere_makes_a_page_not_same_filled,
             bytes_around_the_page_are_not_looked_at,
             fill_gives_any_part_of_the_page_and_no_more)
