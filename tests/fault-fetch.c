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
    faulty_truncate(faulty, BLOCK_BYTES);
    for (unsigned i = 0; i < PAGES; i++)
        ck_assert_int_eq(stored_read_page(i), i == 1 ? 0 : -EIO);
    ck_assert_uint_eq(stored_stat(STAT_failed_reads), PAGES - 1);
    harness_check(volume);
    faulty_truncate(faulty, STORE_BYTES);
}
END_TEST

/* All but one of the pages are in RAM. */
START_TEST(read_error_within_a_long_read_is_not_lost)
{
    static unsigned char data[PAGES * PAGE];

    stored_write_back_all();
    for (unsigned i = 0; i < PAGES; i++)
        if (i != PAGES / 2)
            model_write_both(&model, volume, i * PAGE, PAGE, model.bytes + i * PAGE);
    faulty_fail(faulty, BACKING_READ, 1, -EIO);
    ck_assert_int_eq(volume_read(volume, 0, sizeof data, data), -EIO);
    ck_assert_uint_eq(stored_stat(STAT_failed_reads), 1);
    ck_assert_int_eq(volume_read(volume, 0, sizeof data, data), 0);
    ck_assert_mem_eq(data, model.bytes, sizeof data);
}
END_TEST

/* -- Bytes that are not what was written. -- */

/* Page 0 alone is in the first block. */
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
    unsigned char *object = stored_block(1);

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

/* As when a write is lost, or one of a former process comes late. */
START_TEST(an_earlier_object_of_the_same_page_in_its_place_is_eio)
{
    static unsigned char before[BLOCK_BYTES];
    unsigned char page[PAGE];
    uint32_t length = store_one();
    struct object_header *header = (struct object_header *)stored_block(1);

    memcpy(before, stored_block(1), sizeof before);
    sample_sized(OBJECT_BYTES, 2, page);
    model_write_both(&model, volume, 0, PAGE, page);
    stored_write_back();
    /* The block was empty, and is used again. */
    ck_assert_mem_ne(before, header, sizeof *header + length);
    ck_assert_uint_eq(header->slot, 0);
    ck_assert_uint_eq(header->length, length);
    ck_assert_int_eq(stored_read_page(0), 0);
    memcpy(page, header, sizeof page);
    memcpy(header, before, sizeof before);
    ck_assert_int_eq(stored_read_page(0), -EIO);
    ck_assert_uint_eq(stored_stat(STAT_corrupt_objects), 1);
    memcpy(header, page, sizeof page);
    ck_assert_int_eq(stored_read_page(0), 0);
}
END_TEST

START_TEST(blocks_of_zeroes_or_of_other_pages_are_eio)
{
    static unsigned char kept[SEGMENT_BYTES];

    stored_write_back_all();
    memcpy(kept, stored_block(1), SEGMENT_BYTES);
    memset(stored_block(1), 0, SEGMENT_BYTES);
    unsigned failed = 0;
    for (unsigned i = 0; i < PAGES; i++)
        failed += stored_read_page(i) == -EIO;
    ck_assert_uint_gt(failed, 0);
    ck_assert_uint_eq(stored_stat(STAT_corrupt_objects), failed);
    /* Whole objects with right checksums, but not the ones that are meant. */
    memcpy(stored_block(1), stored_block(1 + SEGMENT_BLOCKS), SEGMENT_BYTES);
    unsigned again = 0;
    for (unsigned i = 0; i < PAGES; i++)
        again += stored_read_page(i) == -EIO;
    ck_assert_uint_eq(again, failed);
    memcpy(stored_block(1), kept, SEGMENT_BYTES);
}
END_TEST

/* Four pages: headers, objects, padding, and what nobody wrote to. */
START_TEST(bit_flip_anywhere_in_the_store_is_eio_or_harmless)
{
    uint64_t step = harness_is_slow() ? 101 : 3, eio = 0;

    model_trim_both(&model, volume, 4 * PAGE, SIZE - 4 * PAGE);
    stored_write_back();
    /* So that no page goes back to RAM for having been read twice. */
    harness_fail(GATE_POOL_ALLOC, 1, true, -ENOSPC);
    for (uint64_t at = 0; at < 8 * BLOCK_BYTES; at += step) {
        unsigned char *byte = faulty_bytes(faulty) + at;
        unsigned failed = 0;

        *byte ^= (unsigned char)(1u << at % 8);
        for (unsigned page = 0; page < 4; page++) {
            int r = stored_read_page(page);

            ck_assert_msg(r == 0 || r == -EIO, "byte %lu: %d", (unsigned long)at, r);
            failed += r < 0;
        }
        ck_assert_uint_le(failed, 1);
        eio += failed;
        *byte ^= (unsigned char)(1u << at % 8);
    }
    harness_fail_end();
    ck_assert_uint_eq(stored_stat(STAT_corrupt_objects), eio);
    ck_assert_uint_ge(eio, 4 * OBJECT_BYTES / step);
    ck_assert_uint_eq(stored_stat(STAT_bd_count), 4);
}
END_TEST

/* Where PAGE's object is; it has a header that holds for no other. */
static unsigned char *find_object(uint32_t page)
{
    struct seal seal = stored_seal();

    for (uint64_t at = BLOCK_BYTES; at < SMALL_STORE - 2 * PAGE; at += 8) {
        unsigned char *bytes = faulty_bytes(faulty) + at;
        const struct object_header *header = (struct object_header *)bytes;
        const struct object_view view = {(char *)bytes - at % BLOCK_BYTES, NULL,
                                         at % BLOCK_BYTES};

        if (header->slot == page && header->length > 0 && header->length <= PAGE &&
            object_parts_at(view.offset, header->length).rest_bytes == 0 &&
            object_holds(seal, page, header->codec, header->length, view))
            return bytes + sizeof *header;
    }
    ck_abort_msg("page %u is nowhere", page);
}

/* It would get a new checksum, and be believed for ever. */
START_TEST(cleaner_does_not_move_a_damaged_object)
{
    const unsigned damaged[] = {1, 100, 250, 401, 602};
    unsigned char *objects[sizeof damaged / sizeof *damaged];
    unsigned count = sizeof damaged / sizeof *damaged;

    stored_fill_small();
    for (unsigned i = 0; i < count; i++) {
        objects[i] = find_object(damaged[i]);
        objects[i][SMALL_OBJECT_BYTES / 2] ^= 4;
    }
    for (unsigned i = 0; i < SMALL_PAGES; i += 3)
        model_trim_both(&model, volume, i * PAGE, PAGE);
    for (unsigned i = 0; i < 100; i++)
        stored_write_back();
    ck_assert_uint_gt(stored_stat(STAT_blocks_cleaned), 0);
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(stored_read_page(damaged[i]), -EIO);
    ck_assert_uint_eq(stored_stat(STAT_corrupt_objects), count);
    for (unsigned i = 0; i < count; i++) {
        objects[i][SMALL_OBJECT_BYTES / 2] ^= 4;
        ck_assert_int_eq(stored_read_page(damaged[i]), 0);
    }
}
END_TEST

/* -- Servers that end while somebody waits. -- */

static _Atomic bool ends;

static bool is_ending(void *opaque)
{
    (void)opaque;
    return ends;
}

static const struct volume_host host = {.is_ending = is_ending};

static void read_is_let_go(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(stored_read_page(1), -ESHUTDOWN);
}

static void write_is_let_go(void *opaque)
{
    (void)opaque;
    ck_assert_int_eq(volume_write(volume, 2 * PAGE + 5, 10, "0123456789"), -ESHUTDOWN);
}

START_TEST(readers_are_let_go_when_the_host_ends_while_the_store_hangs)
{
    volume_set_host(volume, &host);
    stored_write_back_all();
    faulty_hold(faulty, BACKING_READ);
    struct actor *reader = actor_start(read_is_let_go, NULL);
    struct actor *writer = actor_start(write_is_let_go, NULL);
    faulty_wait_held(faulty, BACKING_READ, 2);
    ends = true;
    actor_go(reader);
    actor_go(writer);
    ends = false;
    faulty_release(faulty, BACKING_READ, 0);
}
END_TEST

START_TEST(read_in_flight_comes_to_its_end_though_the_host_ends)
{
    volume_set_host(volume, &host);
    stored_write_back_all();
    ends = true;
    ck_assert_int_eq(stored_read_page(1), 0);
    ends = false;
}
END_TEST

HARNESS_MAIN_WITH("fault-fetch", stored_setup, stored_teardown,
                  readers_are_let_go_when_the_host_ends_while_the_store_hangs,
                  read_in_flight_comes_to_its_end_though_the_host_ends,
                  read_error_is_eio_and_the_page_is_still_there,
                  partial_write_that_cannot_read_is_eio_and_changes_nothing,
                  write_and_trim_of_a_page_that_cannot_be_read_succeed,
                  truncated_store_is_eio_and_ram_goes_on,
                  read_error_within_a_long_read_is_not_lost,
                  bit_flip_anywhere_in_the_store_is_eio_or_harmless,
                  cleaner_does_not_move_a_damaged_object,
                  bit_flip_anywhere_in_an_object_is_eio_and_never_wrong_data,
                  an_earlier_object_of_the_same_page_in_its_place_is_eio,
                  blocks_of_zeroes_or_of_other_pages_are_eio)
