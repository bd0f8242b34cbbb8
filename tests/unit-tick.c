/* unit-tick.c - a loop's clock goes while it is wanted, and stands still after that
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <fcntl.h>
#include <sys/timerfd.h>

#include "harness.h"
#include "tick.h"

#define LONG_MS 900

static struct event_base *base;
static struct tick tick;
static unsigned ticks, wanted;

static bool on_tick(void *opaque)
{
    ck_assert_ptr_eq(opaque, &ticks);
    return ++ticks < wanted;
}

static void set_up(void)
{
    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    tick = (struct tick){0};
    ck_assert_int_eq(tick_open(&tick, base, 1, on_tick, &ticks), 0);
    ticks = wanted = 0;
}

static void tear_down(void)
{
    tick_close(&tick);
    event_base_free(base);
}

static struct itimerspec left(void)
{
    struct itimerspec now;

    ck_assert_int_eq(timerfd_gettime(tick.fd, &now), 0);
    return now;
}

/* Whether the kernel's goes. */
static bool goes(void)
{
    return left().it_interval.tv_nsec > 0;
}

START_TEST(it_stands_still_until_it_is_wanted)
{
    ck_assert(!goes());
    tick_start(&tick);
    ck_assert(goes());
}
END_TEST

START_TEST(it_goes_until_it_is_not_wanted_any_more_and_may_go_again)
{
    for (unsigned turn = 0; turn < 3; turn++) {
        wanted = ticks + 5;
        tick_start(&tick);
        while (ticks < wanted) {
            ck_assert(goes());
            event_base_loop(base, EVLOOP_ONCE);
        }
        ck_assert(!goes());
    }
    ck_assert_uint_eq(ticks, 15);
}
END_TEST

/* Or who starts it often enough would never see it. */
START_TEST(one_that_goes_is_not_put_off_by_another_start)
{
    struct itimerspec before;

    tick_close(&tick);
    ck_assert_int_eq(tick_open(&tick, base, LONG_MS, on_tick, &ticks), 0);
    tick_start(&tick);
    do
        before = left();
    while (before.it_value.tv_nsec > LONG_MS / 2 * 1000000L);
    tick_start(&tick);
    ck_assert_int_le(left().it_value.tv_nsec, before.it_value.tv_nsec);
}
END_TEST

START_TEST(one_that_was_not_opened_may_be_closed)
{
    struct tick none = {0};

    tick_close(&none);
    ck_assert_int_ge(fcntl(none.fd, F_GETFD), 0);
}
END_TEST

HARNESS_MAIN_WITH("unit-tick", set_up, tear_down, it_stands_still_until_it_is_wanted,
                  it_goes_until_it_is_not_wanted_any_more_and_may_go_again,
                  one_that_goes_is_not_put_off_by_another_start,
                  one_that_was_not_opened_may_be_closed)
