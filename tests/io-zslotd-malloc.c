/* io-zslotd-malloc.c - a connection that is open serves without allocating
 *
 * Every kind of request, those that a worker does too, with a backing store from which pages are fetched.  TLS
 * does allocate, in GnuTLS; the manual says so.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "counted-malloc.h"
#include "harness.h"
#include "sample.h"
#include "served.h"
#include "server.h"

#ifdef HAS_COUNTED_MALLOC

#define MEBIBYTES 32u
#define PAGES (MEBIBYTES * MIB / PAGE)
#define DEPTH 64u /* requests before their answers are taken */

static struct volume *volume;
static char path[64];
static uint8_t data[MIB];

static void set_up(void)
{
    volume = harness_open_on_file(MEBIBYTES, path);
    served_start(volume, 2, 20);
}

static void tear_down(void)
{
    served_wait_connections(0);
    ck_assert(served_stop());
    harness_close(volume);
    ck_assert_int_eq(unlink(path), 0);
}

/* Simple replies: whose they are nobody knows before, but of reads, which are alone. */
static unsigned take_replies(int fd, unsigned count)
{
    unsigned failed = 0;
    uint64_t cookie;

    while (count-- > 0)
        failed += served_reply(fd, &cookie) != 0;
    return failed;
}

static unsigned read_back(int fd, uint64_t page, uint32_t bytes)
{
    served_request(fd, NBD_CMD_READ, 1, page * PAGE, bytes);
    unsigned failed = take_replies(fd, 1);
    if (!failed)
        served_receive(fd, data, bytes);
    return failed;
}

/* How many requests failed. */
static unsigned work(int fd, unsigned turns)
{
    uint64_t random = 7;
    unsigned failed = 0;

    for (unsigned turn = 0; turn < turns; turn++)
        for (uint64_t i = 0; i < PAGES / DEPTH; i++) {
            uint64_t page = 0;

            for (unsigned k = 0; k < DEPTH; k++) {
                uint64_t r = harness_random(&random);

                page = r % (PAGES - 256);
                sample_sized(500 + (uint32_t)(r / PAGES % 3000), r, data);
                served_request(fd, NBD_CMD_WRITE, k, page * PAGE + k % 2 * 100,
                               k % 2 ? 1000 : PAGE);
                served_send(fd, data, k % 2 ? 1000 : PAGE);
            }
            failed += take_replies(fd, DEPTH);
            failed += read_back(fd, page, PAGE) + read_back(fd, page ^ 128, 16 * PAGE);
            if (i % 8 != 0)
                continue;
            /* A large write, and what workers do. */
            served_request(fd, NBD_CMD_WRITE, 0, page * PAGE, MIB / 2);
            served_send(fd, data, MIB / 2);
            served_request(fd, NBD_CMD_TRIM, 1, 0, 4 * MIB);
            served_request(fd, NBD_CMD_WRITE_ZEROES, 2, page * PAGE + 5, 2 * PAGE);
            served_request(fd, NBD_CMD_CACHE, 3, page * PAGE, 64 * PAGE);
            served_request(fd, NBD_CMD_FLUSH, 4, 0, 0);
            failed += take_replies(fd, 5);
        }
    return failed;
}

START_TEST(no_request_allocates_once_its_connection_is_open)
{
    int fd = served_connect(0);

    served_enter(fd);
    /* The event loops grow their tables once. */
    ck_assert_uint_eq(work(fd, 1), 0);
    unsigned long before = allocations;
    unsigned failed = work(fd, 3);
    unsigned long after = allocations;
    ck_assert_uint_eq(failed, 0);
    ck_assert_uint_eq(after, before);
    ck_assert_uint_gt(harness_stat(volume, STAT_bd_writes), 1000);
    ck_assert_uint_gt(harness_stat(volume, STAT_bd_reads), 100);
    close(fd);
}
END_TEST

START_TEST(the_counter_counts_what_the_loops_do)
{
    unsigned long before = allocations;
    int fd = served_connect(0);

    served_enter(fd);
    ck_assert_uint_gt(allocations, before); /* its events */
    close(fd);
}
END_TEST

HARNESS_MAIN_WITH("io-zslotd-malloc", set_up, tear_down,
                  no_request_allocates_once_its_connection_is_open,
                  the_counter_counts_what_the_loops_do)

#else

int main(void)
{
    return 77; /* skipped: a sanitizer has a malloc() of its own */
}

#endif
