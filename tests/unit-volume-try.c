/* unit-volume-try.c - reads and writes that do not wait, and writes that are not wanted any more
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "backing-faulty.h"
#include "harness.h"
#include "model.h"
#include "sample.h"
#include "stored.h"

static unsigned char data[4 * PAGE];

static void fill_data(uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++)
        sample_page(SAMPLE_RANDOM, seed + i, data + i * PAGE);
}

START_TEST(what_is_in_ram_is_read_and_written_at_once)
{
    uint64_t done;

    ck_assert_int_eq(volume_try_read(volume, 100, 3 * PAGE, data), 0);
    ck_assert_mem_eq(data, model.bytes + 100, 3 * PAGE);

    fill_data(1000);
    ck_assert_int_eq(volume_try_write(volume, 100, 3 * PAGE, data, &done), 0);
    ck_assert_uint_eq(done, 3 * PAGE);
    model_write(&model, 100, 3 * PAGE, data);
}
END_TEST

START_TEST(a_range_outside_is_einval)
{
    uint64_t done;

    ck_assert_int_eq(volume_try_read(volume, SIZE - PAGE, 2 * PAGE, data), -EINVAL);
    ck_assert_int_eq(volume_try_write(volume, SIZE - PAGE, 2 * PAGE, data, &done),
                     -EINVAL);
    ck_assert_uint_eq(done, 0);
}
END_TEST

START_TEST(a_stored_page_is_eagain_and_not_fetched)
{
    stored_write_back_all();
    unsigned reads = faulty_count(faulty, BACKING_READ);

    ck_assert_int_eq(volume_try_read(volume, 0, PAGE, data), -EAGAIN);
    ck_assert_int_eq(volume_try_read(volume, 100, 2 * PAGE, data), -EAGAIN);
    ck_assert_uint_eq(faulty_count(faulty, BACKING_READ), reads);
    ck_assert_uint_eq(stored_stat(STAT_failed_reads), 0);
}
END_TEST

/* Who is told to wait asks again for all of it. */
START_TEST(pages_before_a_stored_one_are_not_counted_as_read)
{
    stored_write_back_all();
    fill_data(1500);
    ck_assert_int_eq(volume_write(volume, 0, 2 * PAGE, data), 0);
    model_write(&model, 0, 2 * PAGE, data);
    uint64_t before = stored_stat(STAT_pages_read);

    ck_assert_int_eq(volume_try_read(volume, 0, 3 * PAGE, data), -EAGAIN);
    ck_assert_uint_eq(stored_stat(STAT_pages_read), before);
    ck_assert_int_eq(volume_read(volume, 0, 3 * PAGE, data), 0);
    ck_assert_uint_eq(stored_stat(STAT_pages_read), before + 3);
}
END_TEST

/* Two accesses make a page warm; a try that comes to nothing is none. */
START_TEST(a_try_does_not_make_a_page_warm)
{
    stored_write_back_all();
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(volume_try_read(volume, PAGE, PAGE, data), -EAGAIN);
    ck_assert_int_eq(stored_read_page(1), 0);
    ck_assert_uint_eq(stored_stat(STAT_promotions), 0);
    ck_assert_int_eq(stored_read_page(1), 0);
    ck_assert_uint_eq(stored_stat(STAT_promotions), 1);
}
END_TEST

START_TEST(a_whole_page_is_written_over_a_stored_one_at_once)
{
    uint64_t done;

    stored_write_back_all();
    fill_data(2000);
    ck_assert_int_eq(volume_try_write(volume, 0, PAGE, data, &done), 0);
    ck_assert_uint_eq(done, PAGE);
    model_write(&model, 0, PAGE, data);
}
END_TEST

START_TEST(a_part_of_a_stored_page_is_eagain_after_what_is_done)
{
    uint64_t done;

    stored_write_back_all();
    fill_data(3000);
    /* Two whole ones and a part of the third. */
    ck_assert_int_eq(volume_try_write(volume, 0, 2 * PAGE + 100, data, &done), -EAGAIN);
    ck_assert_uint_eq(done, 2 * PAGE);
    model_write(&model, 0, 2 * PAGE, data);
    model_compare(&model, volume, 0, 3 * PAGE);
    ck_assert_uint_eq(stored_stat(STAT_failed_writes), 0);

    ck_assert_int_eq(volume_write(volume, 2 * PAGE, 100, data + 2 * PAGE), 0);
    model_write(&model, 2 * PAGE, 100, data + 2 * PAGE);
}
END_TEST

/* Random pages until there is no room; writeback is held, so that none comes. */
static uint64_t fill_ram(void)
{
    uint64_t page = 0, done;
    int r = 0;

    stored_open_small("8M", 6 * MIB);
    faulty_hold(faulty, BACKING_WRITE);
    for (; page < SIZE / PAGE && r == 0; page++) {
        fill_data(page);
        r = volume_try_write(volume, page * PAGE, PAGE, data, &done);
        if (r == 0)
            model_write(&model, page * PAGE, PAGE, data);
    }
    ck_assert_int_eq(r, -EAGAIN);
    return page - 1;
}

START_TEST(at_the_limit_a_write_is_eagain_and_waits_for_nobody)
{
    uint64_t page = fill_ram();

    ck_assert_uint_gt(page, 10);
    ck_assert_uint_eq(stored_stat(STAT_writers_waited), 0);
    ck_assert_uint_eq(stored_stat(STAT_failed_writes), 0);
    faulty_release(faulty, BACKING_WRITE, 0);
    fill_data(page);
    ck_assert_int_eq(volume_write(volume, page * PAGE, PAGE, data), 0);
    model_write(&model, page * PAGE, PAGE, data);
}
END_TEST

static bool is_wanted_so_often(void *opaque)
{
    unsigned *left = opaque;

    return *left > 0 && (*left)-- > 0;
}

START_TEST(a_write_that_is_not_wanted_leaves_the_page)
{
    unsigned left = 2;

    fill_data(4000);
    ck_assert_int_eq(
        volume_write_while(volume, 0, 4 * PAGE, data, is_wanted_so_often, &left),
        -ECANCELED);
    model_write(&model, 0, 2 * PAGE, data);
    ck_assert_uint_eq(stored_stat(STAT_failed_writes), 0);
}
END_TEST

/* The client that wrote PAGE goes away while the write waits, comes again, and trims the page. */
START_TEST(a_write_that_waits_for_room_ends_when_it_is_not_wanted)
{
    uint64_t page = fill_ram();
    unsigned left = 2;

    fill_data(page);
    ck_assert_int_eq(
        volume_write_while(volume, page * PAGE, PAGE, data, is_wanted_so_often, &left),
        -ECANCELED);
    faulty_release(faulty, BACKING_WRITE, 0);
}
END_TEST

HARNESS_MAIN_WITH("unit-volume-try", stored_setup, stored_teardown,
                  what_is_in_ram_is_read_and_written_at_once, a_range_outside_is_einval,
                  a_stored_page_is_eagain_and_not_fetched,
                  pages_before_a_stored_one_are_not_counted_as_read,
                  a_try_does_not_make_a_page_warm,
                  a_whole_page_is_written_over_a_stored_one_at_once,
                  a_part_of_a_stored_page_is_eagain_after_what_is_done,
                  at_the_limit_a_write_is_eagain_and_waits_for_nobody,
                  a_write_that_is_not_wanted_leaves_the_page,
                  a_write_that_waits_for_room_ends_when_it_is_not_wanted)
