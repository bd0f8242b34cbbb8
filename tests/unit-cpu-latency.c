/* unit-cpu-latency.c - when the kernel is asked to keep processors awake; a file stands for its device
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu-latency.h"
#include "harness.h"

#define MS UINT64_C(1000000)
#define US_ASKED 3

static char device[32];
static int written; /* what is written to the device is read from there */
static struct cpu_latency *latency;
static struct cpu_latency_user loops[2];

static void set_up(void)
{
    struct reason reason;

    written = memfd_create("device", MFD_CLOEXEC);
    ck_assert_int_ge(written, 0);
    snprintf(device, sizeof device, "/proc/self/fd/%d", written);
    ck_assert_int_eq(cpu_latency_open(device, US_ASKED, &latency, &reason), 0);
    memset(loops, 0, sizeof loops);
}

static void tear_down(void)
{
    cpu_latency_close(latency);
    close(written);
}

static void is_written_next(int32_t us)
{
    int32_t got;

    ck_assert_int_eq(read(written, &got, sizeof got), sizeof got);
    ck_assert_int_eq(got, us);
}

static void is_all(void)
{
    int32_t got;

    ck_assert_int_eq(read(written, &got, sizeof got), 0);
}

START_TEST(it_is_asked_for_while_there_is_an_answer_each_millisecond)
{
    cpu_latency_begin(&loops[0], 100, 0);
    ck_assert(cpu_latency_go_on(latency, &loops[0], 104, 5 * MS));
    is_all();
    ck_assert(cpu_latency_go_on(latency, &loops[0], 109, 10 * MS));
    is_written_next(US_ASKED);
    ck_assert(cpu_latency_go_on(latency, &loops[0], 1109, 15 * MS));
    is_all();
    ck_assert(cpu_latency_go_on(latency, &loops[0], 1111, 20 * MS));
    is_written_next(-1);
    is_all();
}
END_TEST

/* Or it might be asked for and taken back each time. */
START_TEST(a_little_less_than_was_needed_is_enough_to_keep_it)
{
    cpu_latency_begin(&loops[0], 0, 0);
    cpu_latency_go_on(latency, &loops[0], 5, 5 * MS);
    is_written_next(US_ASKED);
    cpu_latency_go_on(latency, &loops[0], 8, 10 * MS);
    is_all();
    cpu_latency_go_on(latency, &loops[0], 10, 15 * MS);
    is_written_next(-1);
    cpu_latency_go_on(latency, &loops[0], 13, 20 * MS);
    is_all();
}
END_TEST

/* As after one that was looked at late. */
START_TEST(nothing_is_said_of_a_short_time)
{
    cpu_latency_begin(&loops[0], 0, 0);
    ck_assert(cpu_latency_go_on(latency, &loops[0], 0, 0));
    ck_assert(cpu_latency_go_on(latency, &loops[0], 1, MS / 10));
    ck_assert(cpu_latency_go_on(latency, &loops[0], 3, 2 * MS));
    is_all();
    ck_assert(cpu_latency_go_on(latency, &loops[0], 3, 4 * MS));
    is_all();
    ck_assert(!cpu_latency_go_on(latency, &loops[0], 3, 8 * MS));
    is_all();
}
END_TEST

/* The answers of a long period are not those of a short one. */
START_TEST(a_period_is_as_long_as_it_was)
{
    cpu_latency_begin(&loops[0], 0, 0);
    ck_assert(cpu_latency_go_on(latency, &loops[0], 19, 20 * MS));
    is_all();
    ck_assert(cpu_latency_go_on(latency, &loops[0], 39, 40 * MS));
    is_written_next(US_ASKED);
    is_all();
}
END_TEST

START_TEST(without_answers_it_is_taken_back_and_there_need_be_no_more_periods)
{
    cpu_latency_begin(&loops[0], 0, 0);
    ck_assert(cpu_latency_go_on(latency, &loops[0], 50, 5 * MS));
    is_written_next(US_ASKED);
    ck_assert(!cpu_latency_go_on(latency, &loops[0], 50, 10 * MS));
    is_written_next(-1);
    is_all();
}
END_TEST

START_TEST(it_is_taken_back_when_no_loop_wants_it)
{
    for (unsigned i = 0; i < 2; i++) {
        cpu_latency_begin(&loops[i], 0, 0);
        cpu_latency_go_on(latency, &loops[i], 50, 5 * MS);
    }
    is_written_next(US_ASKED);
    cpu_latency_go_on(latency, &loops[0], 50, 10 * MS);
    cpu_latency_go_on(latency, &loops[0], 50, 15 * MS);
    is_all();
    cpu_latency_go_on(latency, &loops[1], 50, 15 * MS);
    is_written_next(-1);
    is_all();
}
END_TEST

START_TEST(a_loop_that_ends_wants_it_no_more)
{
    cpu_latency_begin(&loops[0], 0, 0);
    cpu_latency_go_on(latency, &loops[0], 50, 5 * MS);
    is_written_next(US_ASKED);
    cpu_latency_end(latency, &loops[0], 7 * MS);
    is_written_next(-1);
    cpu_latency_end(latency, &loops[1], 7 * MS);
    is_all();
}
END_TEST

START_TEST(how_long_it_held_is_known)
{
    cpu_latency_begin(&loops[0], 0, 0);
    ck_assert_uint_eq(cpu_latency_held_ns(latency, 4 * MS), 0);
    cpu_latency_go_on(latency, &loops[0], 50, 5 * MS);
    ck_assert_uint_eq(cpu_latency_held_ns(latency, 8 * MS), 3 * MS);
    /* By a clock that was looked at before it was asked for, or before somebody else was told. */
    ck_assert_uint_eq(cpu_latency_held_ns(latency, 4 * MS), 3 * MS);
    ck_assert_uint_eq(cpu_latency_held_ns(latency, 7 * MS), 3 * MS);
    cpu_latency_go_on(latency, &loops[0], 50, 10 * MS);
    ck_assert_uint_eq(cpu_latency_held_ns(latency, 20 * MS), 5 * MS);
    cpu_latency_go_on(latency, &loops[0], 100, 30 * MS);
    ck_assert_uint_eq(cpu_latency_held_ns(latency, 32 * MS), 7 * MS);
}
END_TEST

START_TEST(a_device_that_cannot_be_opened_is_named)
{
    struct cpu_latency *none = NULL;
    struct reason reason;

    ck_assert_int_eq(cpu_latency_open("/no/such/device", 0, &none, &reason), -ENOENT);
    ck_assert_ptr_null(none);
    ck_assert_ptr_nonnull(strstr(reason.text, "cpu-latency=0: /no/such/device: "));
}
END_TEST

START_TEST(without_a_driver_it_is_not_heeded)
{
    ck_assert(!cpu_latency_is_heeded("/no/such/driver"));
    ck_assert(!cpu_latency_is_heeded(device));
    ck_assert_int_eq(write(written, "none\n", 5), 5);
    ck_assert(!cpu_latency_is_heeded(device));
    ck_assert_int_eq(pwrite(written, "intel_idle\n", 11, 0), 11);
    ck_assert(cpu_latency_is_heeded(device));
}
END_TEST

HARNESS_MAIN_WITH("unit-cpu-latency", set_up, tear_down,
                  it_is_asked_for_while_there_is_an_answer_each_millisecond,
                  a_little_less_than_was_needed_is_enough_to_keep_it,
                  nothing_is_said_of_a_short_time, without_a_driver_it_is_not_heeded,
                  a_period_is_as_long_as_it_was,
                  without_answers_it_is_taken_back_and_there_need_be_no_more_periods,
                  it_is_taken_back_when_no_loop_wants_it,
                  a_loop_that_ends_wants_it_no_more, how_long_it_held_is_known,
                  a_device_that_cannot_be_opened_is_named)
