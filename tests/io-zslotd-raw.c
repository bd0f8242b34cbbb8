/* io-zslotd-raw.c - clients that end, stall and talk nonsense at any byte
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "sample.h"
#include "served.h"
#include "server.h"

static struct volume *volume;
static uint8_t page[PAGE], got[PAGE];

static void set_up(void)
{
    volume = harness_open("size", "8M", "compressor", "lz4", NULL);
    served_start(volume, 2, 0);
    sample_page(SAMPLE_RANDOM, 1, page);
}

static void tear_down(void)
{
    served_wait_connections(0);
    ck_assert(served_stop());
    harness_close(volume);
}

/* A whole conversation: flags, options, a write, a read. */
static size_t make_conversation(uint8_t *to)
{
    size_t at = nbd_put32(to, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);

    at += nbd_put64(to + at, NBD_OPTION_MAGIC);
    at += nbd_put32(to + at, NBD_OPT_STRUCTURED_REPLY);
    at += nbd_put32(to + at, 0);
    at += nbd_put64(to + at, NBD_OPTION_MAGIC);
    at += nbd_put32(to + at, NBD_OPT_GO);
    at += nbd_put32(to + at, 6);
    at += nbd_put32(to + at, 0);
    at += nbd_put16(to + at, 0);
    for (unsigned type = NBD_CMD_READ; type <= NBD_CMD_WRITE; type++) {
        at += nbd_put32(to + at, NBD_REQUEST_MAGIC);
        at += nbd_put16(to + at, 0);
        at += nbd_put16(to + at, (uint16_t)type);
        at += nbd_put64(to + at, 9);
        at += nbd_put64(to + at, 0);
        at += nbd_put32(to + at, 64);
    }
    memcpy(to + at, page, 64);
    return at + 64;
}

START_TEST(a_client_may_end_at_any_byte)
{
    uint8_t all[512];
    size_t bytes = make_conversation(all);

    for (size_t end = 0; end <= bytes; end++)
        for (unsigned how = 0; how < 3; how++) {
            int fd = served_connect(end % 2);

            served_send(fd, all, end);
            if (how > 0)
                shutdown(fd, SHUT_WR);
            if (how > 1)
                ck_assert(served_is_closed(fd));
            close(fd);
        }
    served_wait_connections(0);
    /* It serves. */
    struct nbd_handle *nbd = served_client(0);
    NBD_OK(nbd_pread(nbd, got, PAGE, 0, 0));
    nbd_close(nbd);
}
END_TEST

START_TEST(a_conversation_may_come_byte_by_byte)
{
    uint8_t all[512], reply[18 + 20 + 20 + 12 + 20 + 14 + 20 + 28 + 64 + 16];
    size_t bytes = make_conversation(all);
    int fd = served_connect(0);

    for (size_t at = 0; at < bytes; at++)
        served_send(fd, all + at, 1);
    served_receive(fd, reply, sizeof reply);
    const uint8_t *last = reply + sizeof reply - NBD_SIMPLE_REPLY_BYTES;
    ck_assert_uint_eq(nbd_get32(last), NBD_SIMPLE_REPLY_MAGIC);
    ck_assert_uint_eq(nbd_get32(last + 4), 0);
    close(fd);
    served_wait_connections(0);
    ck_assert_int_eq(volume_read(volume, 0, 64, got), 0);
    ck_assert_mem_eq(got, page, 64);
}
END_TEST

START_TEST(the_first_half_of_a_write_changes_nothing)
{
    for (unsigned large = 0; large < 2; large++) {
        uint32_t bytes = large ? 4 * MIB : PAGE;
        int fd = served_connect(0);

        served_enter(fd);
        served_request(fd, NBD_CMD_WRITE, 1, 0, bytes);
        served_send(fd, page, PAGE / 2);
        close(fd);
        served_wait_connections(0);
        ck_assert_int_eq(volume_read(volume, 0, PAGE, got), 0);
        for (unsigned i = 0; i < PAGE; i++)
            ck_assert_uint_eq(got[i], 0);
    }
}
END_TEST

START_TEST(disc_ends_it_after_all_is_answered)
{
    uint64_t cookie;
    int fd = served_connect(0);

    served_enter(fd);
    for (unsigned i = 0; i < 100; i++) {
        served_request(fd, NBD_CMD_WRITE, i, i * PAGE, PAGE);
        served_send(fd, page, PAGE);
    }
    /* Some for workers, too. */
    served_request(fd, NBD_CMD_TRIM, 100, 0, 8 * MIB);
    served_request(fd, NBD_CMD_DISC, 0, 0, 0);
    for (unsigned i = 0; i <= 100; i++)
        ck_assert_uint_eq(served_reply(fd, &cookie), 0);
    ck_assert(served_is_closed(fd));
    close(fd);
}
END_TEST

/* A Unix socket that is closed with something unread is an error at its other end. */
START_TEST(what_came_before_disc_is_done_for_who_leaves_an_answer_unread)
{
    static uint8_t many[32 * PAGE];

    for (unsigned i = 0; i < 32; i++)
        sample_page(SAMPLE_RANDOM, 40 + i, many + i * PAGE);
    for (unsigned turn = 0; turn < 20; turn++) {
        int fd = served_connect(turn % 2);

        served_enter(fd);
        ck_assert_int_eq(volume_trim(volume, 0, sizeof many), 0);
        served_request(fd, NBD_CMD_FLUSH, 1, 0, 0);
        served_request(fd, NBD_CMD_WRITE, 2, 0, sizeof many);
        served_send(fd, many, sizeof many);
        served_request(fd, NBD_CMD_DISC, 0, 0, 0);
        close(fd);
        served_wait_connections(0);
        for (unsigned i = 0; i < 32; i++) {
            ck_assert_int_eq(volume_read(volume, i * PAGE, PAGE, got), 0);
            ck_assert_mem_eq(got, many + i * PAGE, PAGE);
        }
    }
}
END_TEST

START_TEST(a_bad_magic_number_ends_it)
{
    uint8_t request[NBD_REQUEST_BYTES] = {1};
    int fd = served_connect(0);

    served_enter(fd);
    served_send(fd, request, sizeof request);
    ck_assert(served_is_closed(fd));
    close(fd);
}
END_TEST

START_TEST(bad_requests_are_refused_and_it_goes_on)
{
    static const struct {
        uint16_t type;
        uint64_t offset;
        uint32_t bytes, error;
    } bad[] = {
        {NBD_CMD_READ, 8 * MIB, 1, 22},
        {NBD_CMD_READ, 0, 0, 22},
        {NBD_CMD_READ, UINT64_MAX, UINT32_MAX, 22},
        {NBD_CMD_READ, 0, (32u << 20) + 1, 22},
        {NBD_CMD_WRITE, 8 * MIB - 1, 2, 28},
        {NBD_CMD_WRITE, UINT64_MAX - 1, PAGE, 28},
        {NBD_CMD_TRIM, 8 * MIB, 1, 22},
        {NBD_CMD_WRITE_ZEROES, 8 * MIB, 1, 28},
        {NBD_CMD_CACHE, 8 * MIB, 1, 22},
        {NBD_CMD_FLUSH, 1, 0, 22},
        {NBD_CMD_BLOCK_STATUS, 0, PAGE, 22}, /* not negotiated */
        {8, 0, PAGE, 22},
        {UINT16_MAX, 0, 0, 22},
    };
    uint64_t cookie;
    int fd = served_connect(0);

    served_enter(fd);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        served_request(fd, bad[i].type, i, bad[i].offset, bad[i].bytes);
        if (bad[i].type == NBD_CMD_WRITE)
            served_send(fd, page, bad[i].bytes);
        ck_assert_uint_eq(served_reply(fd, &cookie), bad[i].error);
        ck_assert_uint_eq(cookie, i);
    }
    close(fd);
}
END_TEST

START_TEST(a_write_too_large_to_skip_ends_it)
{
    int fd = served_connect(0);

    served_enter(fd);
    served_request(fd, NBD_CMD_WRITE, 1, 0, UINT32_MAX);
    ck_assert(served_is_closed(fd));
    close(fd);
}
END_TEST

/* It takes what the buffers hold and then waits; others are served. */
START_TEST(a_client_that_never_reads_holds_nobody_up)
{
    int fd = served_connect(0);
    uint8_t request[NBD_REQUEST_BYTES] = {0};
    unsigned sent = 0;

    served_enter(fd);
    nbd_put32(request, NBD_REQUEST_MAGIC);
    nbd_put32(request + 24, PAGE);
    while (sent < 10000 &&
           send(fd, request, sizeof request, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        sent++;

    struct nbd_handle *nbd = served_client(0);
    for (unsigned i = 0; i < 100; i++)
        NBD_OK(nbd_pwrite(nbd, page, PAGE, i * PAGE, 0));
    nbd_close(nbd);

    /* Now it reads, and gets all of it. */
    for (unsigned i = 0; i < sent; i++) {
        uint64_t cookie;

        ck_assert_uint_eq(served_reply(fd, &cookie), 0);
        served_receive(fd, got, PAGE);
    }
    close(fd);
}
END_TEST

/* Large answers that the client takes a little at a time. */
START_TEST(large_answers_leave_in_small_parts)
{
    static uint8_t large[4 << 20], back[4 << 20];
    struct nbd_handle *nbd = served_client(0);
    uint64_t seed = 3;

    for (size_t i = 0; i < sizeof large; i += 8)
        nbd_put64(large + i, harness_random(&seed));
    NBD_OK(nbd_pwrite(nbd, large, sizeof large, 100, 0));
    nbd_close(nbd);

    int fd = served_connect(0), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    served_enter(fd);
    for (unsigned i = 0; i < 3; i++) {
        served_request(fd, NBD_CMD_READ, 1, 100, sizeof large);
        served_request(fd, NBD_CMD_READ, 2, 100, PAGE);
    }
    for (unsigned i = 0; i < 6; i++) {
        uint64_t cookie;

        ck_assert_uint_eq(served_reply(fd, &cookie), 0);
        size_t bytes = cookie == 1 ? sizeof large : PAGE;
        served_receive(fd, back, bytes);
        ck_assert_int_eq(memcmp(back, large, bytes), 0);
    }
    close(fd);
}
END_TEST

HARNESS_MAIN_WITH("io-zslotd-raw", set_up, tear_down, a_client_may_end_at_any_byte,
                  a_conversation_may_come_byte_by_byte,
                  the_first_half_of_a_write_changes_nothing,
                  disc_ends_it_after_all_is_answered,
                  what_came_before_disc_is_done_for_who_leaves_an_answer_unread,
                  a_bad_magic_number_ends_it, bad_requests_are_refused_and_it_goes_on,
                  a_write_too_large_to_skip_ends_it,
                  a_client_that_never_reads_holds_nobody_up,
                  large_answers_leave_in_small_parts)
