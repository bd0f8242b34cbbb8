/* unit-touch.c - parts of a page that are read in turn are one touch of it
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <string.h>

#include "harness.h"
#include "touch.h"

static struct touch_table table;

static void setup(void)
{
    memset(&table, 0, sizeof table);
}

/* Reads all from FIRST to END in order, STEP at a time; how often a page is touched anew. */
static unsigned scan(uint64_t first, uint64_t end, uint64_t step, uint64_t now_ms)
{
    unsigned touches = 0;

    for (uint64_t at = first; at < end; at += step)
        for (uint64_t from = at; from < at + step && from < end;) {
            uint64_t stop = (from / PAGE + 1) * PAGE;

            if (stop > at + step)
                stop = at + step;
            touches += touch_is_new(&table, from / PAGE, (uint32_t)(from % PAGE),
                                    (uint32_t)(stop - from), now_ms);
            from = stop;
        }
    return touches;
}

START_TEST(scan_touches_each_page_once_whatever_its_steps)
{
    static const uint64_t steps[] = {1, 511, 512, 1024, 3000, 4095, 4096, 4097, 10000};

    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        setup();
        ck_assert_uint_eq(scan(0, 600 * PAGE, steps[i], 1000), 600);
    }
}
END_TEST

START_TEST(backward_scan_touches_each_page_once)
{
    unsigned touches = 0;

    for (uint64_t at = 100 * PAGE; at > 0; at -= 512)
        touches +=
            touch_is_new(&table, (at - 512) / PAGE, (at - 512) % PAGE, 512, 1000);
    ck_assert_uint_eq(touches, 100);
}
END_TEST

/* Two of them may share an entry at times. */
START_TEST(several_scans_at_a_time_touch_each_page_about_once)
{
    unsigned touches = 0;

    for (uint64_t at = 0; at < 200 * PAGE; at += 1024)
        for (uint64_t reader = 0; reader < 8; reader++)
            touches += touch_is_new(&table, reader * 100000 + at / PAGE, at % PAGE,
                                    1024, 1000);
    ck_assert_uint_ge(touches, 8 * 200);
    ck_assert_uint_le(touches, 8 * 200 * 5 / 4);
}
END_TEST

START_TEST(same_part_again_is_a_new_touch)
{
    ck_assert(touch_is_new(&table, 7, 0, 512, 1000));
    ck_assert(touch_is_new(&table, 7, 0, 512, 1001));
    ck_assert(!touch_is_new(&table, 7, 512, 512, 1002));
    ck_assert(touch_is_new(&table, 7, 100, 10, 1003));
    ck_assert(touch_is_new(&table, 7, 0, PAGE, 1004));
}
END_TEST

START_TEST(another_part_much_later_is_a_new_touch)
{
    ck_assert(touch_is_new(&table, 7, 0, 512, 1000));
    ck_assert(!touch_is_new(&table, 7, 512, 512, 1000 + TOUCH_MS - 1));
    ck_assert(touch_is_new(&table, 7, 1024, 512, 1000 + 2 * TOUCH_MS));
}
END_TEST

START_TEST(first_touch_of_any_page_is_new)
{
    ck_assert(touch_is_new(&table, 0, 512, 512, 0));
    setup();
    ck_assert(touch_is_new(&table, 0, 0, 1, 0));
    ck_assert(touch_is_new(&table, UINT32_MAX, 4095, 1, 1));
}
END_TEST

HARNESS_MAIN_WITH("unit-touch", setup, NULL,
                  scan_touches_each_page_once_whatever_its_steps,
                  backward_scan_touches_each_page_once,
                  several_scans_at_a_time_touch_each_page_about_once,
                  same_part_again_is_a_new_touch,
                  another_part_much_later_is_a_new_touch,
                  first_touch_of_any_page_is_new)
