/* io-zslotd-cpu-latency.c - loops that keep processors awake while their clients are busy
 *
 * A file stands for the kernel's device; with that itself it is io-zslotd-awake.sh.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <libnbd.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu-latency.h"
#include "harness.h"
#include "served.h"
#include "server.h"

#define US_ASKED 7

static struct volume *volume;
static struct cpu_latency *latency;
static int written;
static uint8_t page[PAGE];

static void start(unsigned threads, unsigned poll_us)
{
    served_next.cpu_latency = latency;
    served_start(volume, threads, poll_us);
}

static void set_up(void)
{
    struct reason reason;
    char device[32];

    volume = harness_open("size", "2M", "compressor", "lz4", NULL);
    written = memfd_create("device", MFD_CLOEXEC);
    ck_assert_int_ge(written, 0);
    snprintf(device, sizeof device, "/proc/self/fd/%d", written);
    ck_assert_int_eq(cpu_latency_open(device, US_ASKED, &latency, &reason), 0);
}

static void tear_down(void)
{
    served_wait_connections(0);
    ck_assert(served_stop());
    cpu_latency_close(latency);
    close(written);
    harness_close(volume);
}

/* What was written next, if anything was. */
static bool has_written(int32_t us)
{
    int32_t got;
    ssize_t bytes = read(written, &got, sizeof got);

    if (bytes <= 0)
        return false;
    ck_assert_int_eq(bytes, sizeof got);
    ck_assert_int_eq(got, us);
    return true;
}

static void read_page(struct nbd_handle *nbd)
{
    NBD_OK(nbd_pread(nbd, page, PAGE, 0, 0));
}

/* One that is busy, and then pauses. */
static void be_busy_and_pause(unsigned loop)
{
    struct nbd_handle *nbd = served_client(loop);

    while (!has_written(US_ASKED))
        read_page(nbd);
    while (!has_written(-1))
        sched_yield();
    ck_assert_uint_gt(served_number("cpu_latency_time"), 0);
    while (served_ticks(loop))
        sched_yield();
    nbd_close(nbd);
}

START_TEST(the_kernel_is_asked_while_a_client_is_busy)
{
    start(1, 0);
    ck_assert_uint_eq(served_number("cpu_latency_time"), 0);
    be_busy_and_pause(0);
    be_busy_and_pause(0);
}
END_TEST

START_TEST(the_kernel_is_asked_by_loops_that_poll_too)
{
    start(2, 50);
    be_busy_and_pause(0);
    be_busy_and_pause(1);
}
END_TEST

/* In one stretch of polling, which goes on between them. */
START_TEST(the_kernel_is_asked_by_a_loop_that_polls_throughout)
{
    start(1, 18000);
    be_busy_and_pause(0);
    be_busy_and_pause(0);
}
END_TEST

START_TEST(a_loop_that_ends_takes_it_back)
{
    start(1, 0);
    struct nbd_handle *nbd = served_client(0);

    while (!has_written(US_ASKED))
        read_page(nbd);
    ck_assert(served_stop());
    ck_assert(has_written(-1));
    nbd_close(nbd);
    served_start(volume, 1, 0);
}
END_TEST

HARNESS_MAIN_WITH("io-zslotd-cpu-latency", set_up, tear_down,
                  the_kernel_is_asked_while_a_client_is_busy,
                  the_kernel_is_asked_by_loops_that_poll_too,
                  the_kernel_is_asked_by_a_loop_that_polls_throughout,
                  a_loop_that_ends_takes_it_back)
