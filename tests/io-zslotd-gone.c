/* io-zslotd-gone.c - what a client sent before it closed, and wrote anew by another connection, is not carried out
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <libnbd.h>
#include <poll.h>
#include <unistd.h>

#include "harness.h"
#include "sample.h"
#include "served.h"
#include "server.h"

#define POLL_US 18000u
#define PAGES 3u

static struct volume *volume;
static uint8_t pages[PAGES * PAGE], got[PAGE];

static void set_up(void)
{
    volume = harness_open("size", "2M", "compressor", "lz4", NULL);
    sample_fill(SAMPLE_TEXT, 1, sizeof pages, pages);
    served_start(volume, 2, 0);
}

static void tear_down(void)
{
    ck_assert(served_stop());
    harness_close(volume);
}

/* Until there are any to receive. */
static void wait_for_bytes(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};

    ck_assert_int_eq(poll(&look, 1, -1), 1);
}

/* As a client does that gives up one connection and has another, or makes one. */
static void write_by_another_loop(struct nbd_handle *other)
{
    struct nbd_handle *nbd = other ? other : served_client(1);

    NBD_OK(nbd_pwrite(nbd, pages + 2 * PAGE, PAGE, PAGE, 0));
    if (!other)
        nbd_close(nbd);
}

/* The first of two loops stands still while it polls or waits for the next request. */
static void close_behind_a_write(unsigned poll_us, bool leaves_an_answer,
                                 bool has_another)
{
    ck_assert(served_stop());
    served_start(volume, 2, poll_us);
    struct nbd_handle *other = has_another ? served_client(1) : NULL;
    int fd = served_enter_and_write(pages);

    if (leaves_an_answer) {
        served_send_write(fd, 0, pages);
        wait_for_bytes(fd);
    }
    served_halt(0);
    served_send_write(fd, 1, pages + PAGE);
    close(fd);
    write_by_another_loop(other);
    served_resume();
    if (other)
        nbd_close(other);
    served_wait_connections(0);
    ck_assert_int_eq(volume_read(volume, PAGE, PAGE, got), 0);
    ck_assert_mem_eq(got, pages + 2 * PAGE, PAGE);
}

START_TEST(what_came_before_a_close_is_not_carried_out_by_a_polling_loop)
{
    for (unsigned turn = 0; turn < 20; turn++)
        close_behind_a_write(POLL_US, false, turn % 2);
}
END_TEST

/* Which makes an error of the close, and of that an event that does not tell of it. */
START_TEST(what_came_before_a_close_is_not_carried_out_though_an_answer_is_unread)
{
    for (unsigned turn = 0; turn < 20; turn++)
        close_behind_a_write(0, true, turn % 2);
}
END_TEST

HARNESS_MAIN_WITH(
    "io-zslotd-gone", set_up, tear_down,
    what_came_before_a_close_is_not_carried_out_by_a_polling_loop,
    what_came_before_a_close_is_not_carried_out_though_an_answer_is_unread)
