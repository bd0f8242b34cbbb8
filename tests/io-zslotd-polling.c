/* io-zslotd-polling.c - loops that poll: all clients are served, also who is not polled
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <libnbd.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "sample.h"
#include "served.h"
#include "server.h"

#define POLL_US 1000u
#define PAGES 64u

static struct volume *volume;
static uint8_t pages[PAGES * PAGE], got[PAGE];

static void set_up(void)
{
    volume = harness_open("size", "2M", "compressor", "lz4", NULL);
    sample_fill(SAMPLE_TEXT, 1, sizeof pages, pages);
    ck_assert_int_eq(volume_write(volume, 0, sizeof pages, pages), 0);
    served_start(volume, 1, POLL_US);
}

static void tear_down(void)
{
    served_wait_connections(0);
    ck_assert(served_stop());
    harness_close(volume);
}

static void start_again(unsigned poll_us)
{
    ck_assert(served_stop());
    served_start(volume, 1, poll_us);
}

static void write_page(struct nbd_handle *nbd, unsigned number)
{
    NBD_OK(
        nbd_pwrite(nbd, pages + number % PAGES * PAGE, PAGE, number % PAGES * PAGE, 0));
}

static void read_page(struct nbd_handle *nbd, unsigned number)
{
    NBD_OK(nbd_pread(nbd, got, PAGE, number % PAGES * PAGE, 0));
    ck_assert_mem_eq(got, pages + number % PAGES * PAGE, PAGE);
}

START_TEST(a_loop_that_polls_one_client_receives_from_another)
{
    struct nbd_handle *clients[3];

    for (unsigned i = 0; i < 3; i++)
        clients[i] = served_client(0);
    for (unsigned i = 0; i < 300; i++) {
        write_page(clients[i % 3], i);
        read_page(clients[(i + 1) % 3], i);
        read_page(clients[(i / 7) % 3], i);
    }
    for (unsigned i = 0; i < 3; i++)
        nbd_close(clients[i]);
}
END_TEST

/* -- Who closes. -- */

START_TEST(a_client_may_close_while_its_loop_polls_for_it)
{
    struct nbd_handle *other = served_client(0);

    for (unsigned i = 0; i < 200; i++) {
        int fd = served_enter_and_write(pages);

        if (i % 2)
            served_request(fd, NBD_CMD_DISC, 0, 0, 0);
        close(fd);
        if (i % 3 == 0)
            read_page(other, i);
    }
    nbd_close(other);
}
END_TEST

/* -- Who never pauses. -- */

struct hammer {
    pthread_t thread;
    _Atomic bool stop;
    _Atomic unsigned answers;
    struct nbd_handle *nbd;
};

/* Until it is told to stop or the server closes. */
static void *hammer(void *opaque)
{
    struct hammer *self = opaque;
    uint8_t page[PAGE];

    while (!atomic_load(&self->stop) && nbd_pread(self->nbd, page, PAGE, 0, 0) == 0)
        atomic_fetch_add(&self->answers, 1);
    return NULL;
}

static void hammer_start(struct hammer *self)
{
    *self = (struct hammer){.nbd = served_client(0)};
    ck_assert_int_eq(pthread_create(&self->thread, NULL, hammer, self), 0);
    while (atomic_load(&self->answers) < 100)
        sched_yield();
}

static void hammer_end(struct hammer *self)
{
    atomic_store(&self->stop, true);
    pthread_join(self->thread, NULL);
    nbd_close(self->nbd);
}

START_TEST(a_client_that_never_pauses_does_not_keep_a_polling_loop_from_others)
{
    uint8_t *large = calloc(1, MIB);
    struct hammer busy;

    start_again(5 * POLL_US);
    hammer_start(&busy);
    struct nbd_handle *nbd = served_client(0);
    for (unsigned i = 0; i < 100; i++) {
        write_page(nbd, i);
        read_page(nbd, i);
    }
    /* By a worker, which sends word. */
    NBD_OK(nbd_pwrite(nbd, large, MIB, 0, 0));
    nbd_close(nbd);
    hammer_end(&busy);
    free(large);
}
END_TEST

START_TEST(a_client_that_never_pauses_does_not_keep_a_polling_loop_from_ending)
{
    struct hammer busy;

    start_again(5 * POLL_US);
    hammer_start(&busy);
    ck_assert(served_stop());
    hammer_end(&busy);
    served_start(volume, 1, 0);
}
END_TEST

START_TEST(polling_loops_end_at_once)
{
    for (unsigned turn = 0; turn < 20; turn++) {
        start_again(POLL_US);
        int fd = served_enter_and_write(pages);
        /* While it polls. */
        time_t begun = time(NULL);
        ck_assert(served_stop());
        ck_assert_int_lt(time(NULL) - begun, 3);
        ck_assert(served_is_closed(fd));
        close(fd);
        served_start(volume, 1, 0);
    }
}
END_TEST

HARNESS_MAIN_WITH("io-zslotd-polling", set_up, tear_down,
                  a_loop_that_polls_one_client_receives_from_another,
                  a_client_may_close_while_its_loop_polls_for_it,
                  a_client_that_never_pauses_does_not_keep_a_polling_loop_from_others,
                  a_client_that_never_pauses_does_not_keep_a_polling_loop_from_ending,
                  polling_loops_end_at_once)
