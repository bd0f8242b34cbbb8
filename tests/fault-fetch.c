/* fault-fetch.c - a backing store that does not read, or not what was written
 *
 * Whatever it does: no page is lost that is in RAM, and no read gets wrong data.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "stored.h"

/* -- Reads that fail. -- */

START_TEST(read_error_is_eio_and_the_page_is_still_there)
{
    stored_write_back_all();
    faulty_fail(faulty, BACKING_READ, 2, -ENODEV);
    ck_assert_int_eq(stored_read_page(1), -EIO);
    ck_assert_int_eq(stored_read_page(1), -EIO);
    ck_assert_uint_eq(stored_stat(STAT_failed_reads), 2);
    ck_assert_uint_eq(stored_stat(STAT_corrupt_objects), 0);
    ck_assert_uint_eq(stored_stat(STAT_bd_count), PAGES);
    harness_check(volume);
    ck_assert_int_eq(stored_read_page(1), 0);
    ck_assert_uint_eq(stored_stat(STAT_failed_reads), 2);
}
END_TEST

START_TEST(partial_write_that_cannot_read_is_eio_and_changes_nothing)
{
    stored_write_back_all();
    faulty_fail(faulty, BACKING_READ, 1, -EIO);
    ck_assert_int_eq(volume_write(volume, PAGE + 5, 10, "0123456789"), -EIO);
    ck_assert_uint_eq(stored_stat(STAT_failed_writes), 1);
    ck_assert_uint_eq(stored_stat(STAT_bd_count), PAGES);
    ck_assert_int_eq(stored_read_page(1), 0);
    model_write_both(&model, volume, PAGE + 5, 10, "0123456789");
    ck_assert_uint_eq(stored_stat(STAT_bd_count), PAGES - 1);
}
END_TEST

START_TEST(write_and_trim_of_a_page_that_cannot_be_read_succeed)
{
    unsigned char page[PAGE];

    stored_write_back_all();
    faulty_fail(faulty, BACKING_READ, UINT32_MAX, -EIO);
    sample_sized(OBJECT_BYTES, 9000, page);
    model_write_both(&model, volume, PAGE, PAGE, page);
    model_trim_both(&model, volume, 2 * PAGE, PAGE);
    ck_assert_int_eq(stored_read_page(1), 0);
    ck_assert_int_eq(stored_read_page(2), 0);
    ck_assert_int_eq(stored_read_page(3), -EIO);
    faulty_fail(faulty, BACKING_READ, 0, 0);
}
END_TEST

START_TEST(truncated_store_is_eio_and_ram_goes_on)
{
    unsigned char page[PAGE];

    stored_write_back_all();
    sample_sized(OBJECT_BYTES, 9000, page);
    model_write_both(&model, volume, PAGE, PAGE, page);
    faulty_truncate(faulty, SEGMENT_BYTES);
    for (unsigned i = 0; i < PAGES; i++)
        ck_assert_int_eq(stored_read_page(i), i == 1 ? 0 : -EIO);
    ck_assert_uint_eq(stored_stat(STAT_failed_reads), PAGES - 1);
    harness_check(volume);
    faulty_truncate(faulty, STORE_BYTES);
}
END_TEST

/* -- Bytes that are not what was written. -- */

/* Page 0 alone is in the first segment. */
static uint32_t store_one(void)
{
    model_trim_both(&model, volume, PAGE, (PAGES - 1) * PAGE);
    unsigned char page[PAGE];
    sample_sized(OBJECT_BYTES, 1, page);
    model_write_both(&model, volume, 0, PAGE, page);
    stored_write_back();
    ck_assert_uint_eq(stored_stat(STAT_bd_count), 1);
    return (uint32_t)stored_stat(STAT_bd_evicted_size);
}

START_TEST(bit_flip_anywhere_in_an_object_is_eio_and_never_wrong_data)
{
    uint32_t length = store_one(), step = harness_is_slow() ? 37 : 1;
    uint64_t flips = 0;
    unsigned char *object = stored_segment(1) + sizeof(struct segment_header);

    for (uint32_t at = 0; at < sizeof(struct object_header) + length;
         at += at < sizeof(struct object_header) ? 1 : step)
        for (unsigned bit = at < 24 ? 0 : at % 8; bit < 8; bit += at < 24 ? 1 : 8) {
            object[at] ^= (unsigned char)(1u << bit);
            ck_assert_msg(stored_read_page(0) == -EIO, "byte %u bit %u", at, bit);
            object[at] ^= (unsigned char)(1u << bit);
            ck_assert_uint_eq(stored_stat(STAT_corrupt_objects), ++flips);
        }
    ck_assert_uint_eq(stored_stat(STAT_failed_reads), flips);
    ck_assert_uint_eq(stored_stat(STAT_bd_count), 1);
    ck_assert_int_eq(stored_read_page(0), 0);
}
END_TEST

START_TEST(segment_of_zeroes_or_of_another_page_is_eio)
{
    static unsigned char kept[SEGMENT_BYTES];

    stored_write_back_all();
    memcpy(kept, stored_segment(1), SEGMENT_BYTES);
    memset(stored_segment(1), 0, SEGMENT_BYTES);
    unsigned failed = 0;
    for (unsigned i = 0; i < PAGES; i++)
        failed += stored_read_page(i) == -EIO;
    ck_assert_uint_gt(failed, 0);
    ck_assert_uint_eq(stored_stat(STAT_corrupt_objects), failed);
    /* Whole objects with right checksums, but not the ones that are meant. */
    memcpy(stored_segment(1), stored_segment(2), SEGMENT_BYTES);
    unsigned again = 0;
    for (unsigned i = 0; i < PAGES; i++)
        again += stored_read_page(i) == -EIO;
    ck_assert_uint_eq(again, failed);
    memcpy(stored_segment(1), kept, SEGMENT_BYTES);
}
END_TEST

HARNESS_MAIN_WITH("fault-fetch", stored_setup, stored_teardown,
                  read_error_is_eio_and_the_page_is_still_there,
                  partial_write_that_cannot_read_is_eio_and_changes_nothing,
                  write_and_trim_of_a_page_that_cannot_be_read_succeed,
                  truncated_store_is_eio_and_ram_goes_on,
                  bit_flip_anywhere_in_an_object_is_eio_and_never_wrong_data,
                  segment_of_zeroes_or_of_another_page_is_eio)
