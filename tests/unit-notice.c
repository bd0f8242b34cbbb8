/* unit-notice.c - the log says what needs attention, once
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "notice.h"

static struct notice notice;
static struct notice_view view;
static struct reason sentence;

static void setup(void)
{
    notice = (struct notice){.state = BACKING_OK};
    view = (struct notice_view){.state = BACKING_OK};
}

static bool says(uint64_t now_ms, const char *words)
{
    return notice_look(&notice, &view, now_ms, &sentence) &&
           strstr(sentence.text, words);
}

static bool is_silent(uint64_t now_ms)
{
    return !notice_look(&notice, &view, now_ms, &sentence);
}

START_TEST(a_change_of_state_is_said_at_once_and_once)
{
    ck_assert(is_silent(1));
    view.state = BACKING_FULL;
    ck_assert(says(5, "full"));
    for (uint64_t now = 6; now < 1000000; now += 1000)
        ck_assert(is_silent(now));
    view.state = BACKING_OK;
    ck_assert(says(1000000, "well again"));
}
END_TEST

START_TEST(every_state_has_a_sentence)
{
    for (unsigned state = BACKING_OK; state < BACKING_STATE_COUNT; state++) {
        notice.state = BACKING_NONE;
        notice.state_ms = 0;
        view.state = (enum backing_state)state;
        ck_assert(says(1, " "));
    }
}
END_TEST

START_TEST(a_store_that_goes_back_and_forth_gets_a_line_now_and_then)
{
    unsigned lines = 0;

    for (uint64_t now = 1; now < 600000; now += 50) {
        view.state = now / 50 % 3 ? BACKING_FULL : BACKING_OK;
        lines += !is_silent(now);
    }
    ck_assert_uint_le(lines, 600000 / NOTICE_STATE_MS + 1);
    ck_assert_uint_ge(lines, 10);
}
END_TEST

START_TEST(what_was_over_soon_is_not_said_later)
{
    view.state = BACKING_FAILED;
    ck_assert(says(1, "fails again"));
    view.state = BACKING_OK;
    ck_assert(is_silent(2));
    view.state = BACKING_FAILED;
    ck_assert(is_silent(1 + NOTICE_STATE_MS));
}
END_TEST

START_TEST(failures_are_counted_up_and_said_now_and_then)
{
    view.writes = (struct notice_failures){1, EIO};
    ck_assert(says(1, "failed (1 since"));
    ck_assert(strstr(sentence.text, strerror(EIO)));
    view.writes.count = 2;
    ck_assert(is_silent(2));
    view.writes = (struct notice_failures){1001, ENODEV};
    ck_assert(says(1 + NOTICE_FAILURES_MS, "failed (1000 since"));
    ck_assert(strstr(sentence.text, strerror(ENODEV)));
    ck_assert(is_silent(1 + 3 * NOTICE_FAILURES_MS));
}
END_TEST

START_TEST(kinds_of_failures_do_not_hide_each_other)
{
    view.writes = (struct notice_failures){1, EIO};
    view.reads = (struct notice_failures){2, EIO};
    view.checksums = (struct notice_failures){3, EIO};
    view.state = BACKING_FAILED;
    ck_assert(says(1, "fails again"));
    ck_assert(says(1, "writing"));
    ck_assert(says(1, "reading"));
    ck_assert(says(1, "3 pages"));
    ck_assert(is_silent(1));
}
END_TEST

HARNESS_MAIN_WITH("unit-notice", setup, NULL,
                  a_change_of_state_is_said_at_once_and_once,
                  every_state_has_a_sentence,
                  a_store_that_goes_back_and_forth_gets_a_line_now_and_then,
                  what_was_over_soon_is_not_said_later,
                  failures_are_counted_up_and_said_now_and_then,
                  kinds_of_failures_do_not_hide_each_other)
