/* fault-zslotd.c - what waits holds nobody up, and clients that go away
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "backing-faulty.h"
#include "connection.h"
#include "harness.h"
#include "input.h"
#include "model.h"
#include "sample.h"
#include "served.h"
#include "server.h"
#include "stored.h"
#include "workers.h"

static unsigned char data[PAGE], got[PAGE];

static void setup(void)
{
    stored_setup();
    served_start(volume, 2, 0);
}

static void teardown(void)
{
    ck_assert(served_stop());
    stored_teardown();
}

static void expect_page(int fd, uint64_t page, uint64_t cookie)
{
    uint64_t answered;

    ck_assert_uint_eq(served_reply(fd, &answered), 0);
    ck_assert_uint_eq(answered, cookie);
    served_receive(fd, got, PAGE);
    ck_assert_mem_eq(got, model.bytes + page * PAGE, PAGE);
}

/* Page 0 in RAM again, all others stored. */
static void store_all_but_the_first(void)
{
    uint64_t seed = 77;

    stored_write_back_all();
    sample_page(SAMPLE_RANDOM, seed, data);
    model_write_both(&model, volume, 0, PAGE, data);
}

START_TEST(a_fetch_does_not_hold_up_the_same_connection)
{
    store_all_but_the_first();
    int fd = served_connect(0);
    served_enter(fd);
    faulty_hold_fetches(faulty);

    /* More fetches than there are workers, then what needs none. */
    for (unsigned i = 1; i <= 40; i++)
        served_request(fd, NBD_CMD_READ, i, i * PAGE, PAGE);
    for (unsigned turn = 0; turn < 100; turn++) {
        served_request(fd, NBD_CMD_READ, 1000, 0, PAGE);
        expect_page(fd, 0, 1000);
    }
    faulty_release(faulty, BACKING_READ, 0);
    bool seen[41] = {false};
    for (unsigned i = 1; i <= 40; i++) {
        uint64_t cookie;

        ck_assert_uint_eq(served_reply(fd, &cookie), 0);
        ck_assert(cookie >= 1 && cookie <= 40 && !seen[cookie]);
        seen[cookie] = true;
        served_receive(fd, got, PAGE);
        ck_assert_mem_eq(got, model.bytes + cookie * PAGE, PAGE);
    }
    close(fd);
}
END_TEST

START_TEST(more_fetches_than_requests_are_served_in_the_end)
{
    stored_write_back_all();
    int fd = served_connect(0);
    served_enter(fd);
    faulty_hold_fetches(faulty);
    for (unsigned i = 0; i < 2 * CONNECTION_REQUESTS; i++)
        served_request(fd, NBD_CMD_READ, i, i * PAGE, PAGE);
    /* Another client of the same loop meanwhile. */
    int other = served_connect(0);
    served_enter(other);
    served_request(other, NBD_CMD_READ, 5, 4 * MIB, PAGE);
    expect_page(other, 4 * MIB / PAGE, 5);
    faulty_release(faulty, BACKING_READ, 0);
    for (unsigned i = 0; i < 2 * CONNECTION_REQUESTS; i++) {
        uint64_t cookie;

        ck_assert_uint_eq(served_reply(fd, &cookie), 0);
        ck_assert_uint_lt(cookie, 2 * CONNECTION_REQUESTS);
        served_receive(fd, got, PAGE);
        ck_assert_mem_eq(got, model.bytes + cookie * PAGE, PAGE);
    }
    close(fd);
    close(other);
}
END_TEST

START_TEST(a_partial_write_of_a_stored_page_does_not_hold_up_others)
{
    uint64_t cookie;

    store_all_but_the_first();
    int fd = served_connect(0);
    served_enter(fd);
    faulty_hold_fetches(faulty);
    served_request(fd, NBD_CMD_WRITE, 1, PAGE + 10, 100);
    served_send(fd, data, 100);
    served_request(fd, NBD_CMD_READ, 2, 0, PAGE);
    expect_page(fd, 0, 2);
    faulty_wait_held(faulty, BACKING_READ, 1);
    faulty_release(faulty, BACKING_READ, 0);
    ck_assert_uint_eq(served_reply(fd, &cookie), 0);
    ck_assert_uint_eq(cookie, 1);
    model_write(&model, PAGE + 10, 100, data);
    close(fd);
}
END_TEST

START_TEST(a_fetch_that_fails_is_eio_and_the_connection_goes_on)
{
    uint64_t cookie;

    store_all_but_the_first();
    int fd = served_connect(0);
    served_enter(fd);
    faulty_fail(faulty, BACKING_READ, 1, -EIO);
    served_request(fd, NBD_CMD_READ, 1, PAGE, PAGE);
    ck_assert_uint_eq(served_reply(fd, &cookie), 5);
    served_request(fd, NBD_CMD_READ, 2, PAGE, PAGE);
    expect_page(fd, 1, 2);
    close(fd);
}
END_TEST

/* Pages 0 to 31 in RAM, all others stored; a write or a read of these is for a worker, and waits for
 * nothing. */
#define LONG_PAGES 32u
static unsigned char many[LONG_PAGES * PAGE];

static void store_all_but_the_first_ones(void)
{
    stored_write_back_all();
    for (unsigned i = 0; i < LONG_PAGES; i++)
        sample_page(SAMPLE_RANDOM, 300 + i, many + i * PAGE);
    model_write_both(&model, volume, 0, sizeof many, many);
}

static void expect_long_ones(int fd)
{
    uint64_t cookie;

    served_request(fd, NBD_CMD_WRITE, 1, 0, sizeof many);
    served_send(fd, many, sizeof many);
    ck_assert_uint_eq(served_reply(fd, &cookie), 0);
    served_request(fd, NBD_CMD_READ, 2, 0, sizeof many);
    ck_assert_uint_eq(served_reply(fd, &cookie), 0);
    served_receive(fd, many, sizeof many);
    ck_assert_mem_eq(many, model.bytes, sizeof many);
}

#define WAITING 64u

/* All workers of a kind may then be one export's. */
static void serve_one_export(void)
{
    ck_assert(served_stop());
    served_next.exports = 1;
    served_start(volume, 2, 0);
}

/* A client asks for so many stored pages by one COMMAND each; that is as much as HELD fetches. */
static int fill_workers(uint16_t command, unsigned held)
{
    int fd = served_connect(0);

    served_enter(fd);
    faulty_hold_fetches(faulty);
    for (unsigned i = 0; i < WAITING; i++)
        served_request(fd, command, i, (100 + i) * PAGE, PAGE);
    faulty_wait_held(faulty, BACKING_READ, held);
    return fd;
}

/* All that fill_workers() sent waits for a worker or has one: it is taken in order, and a page in RAM is
 * answered at once. */
static void wait_until_taken(int fd)
{
    served_request(fd, NBD_CMD_READ, WAITING, 0, PAGE);
    expect_page(fd, 0, WAITING);
}

/* What it asked for comes, with so many bytes each. */
static void empty_workers(int fd, uint32_t bytes)
{
    uint64_t cookie;

    faulty_release(faulty, BACKING_READ, 0);
    for (unsigned i = 0; i < WAITING; i++) {
        ck_assert_uint_eq(served_reply(fd, &cookie), 0);
        served_receive(fd, got, bytes);
    }
    close(fd);
}

START_TEST(fetches_leave_workers_to_writes)
{
    serve_one_export();
    store_all_but_the_first_ones();
    int other = served_connect(1);
    uint64_t cookie;

    served_enter(other);
    int fd = fill_workers(NBD_CMD_READ, WORKERS_OTHERS_MAX);
    wait_until_taken(fd);
    served_request(other, NBD_CMD_WRITE, 1, 0, sizeof many);
    served_send(other, many, sizeof many);
    ck_assert_uint_eq(served_reply(other, &cookie), 0);
    empty_workers(fd, PAGE);
    close(other);
}
END_TEST

/* What one export's clients wait for holds up those of another no longer than it takes to do. */
START_TEST(fetches_of_one_export_leave_workers_to_another)
{
    store_all_but_the_first_ones();
    int other = served_connect(1);
    served_enter_export(other, "other");
    int fd = fill_workers(NBD_CMD_READ, WORKERS_OTHERS_MAX / 2);
    wait_until_taken(fd);
    /* A read of what is in RAM, for a worker, by another export; often, so that those of the first
     * have had every chance to take what there is. */
    for (unsigned i = 0; i < 20; i++)
        expect_long_ones(other);
    empty_workers(fd, PAGE);
    close(other);
}
END_TEST

START_TEST(cache_requests_leave_workers_to_others)
{
    serve_one_export();
    store_all_but_the_first_ones();
    int other = served_connect(1);
    served_enter(other);
    int fd = fill_workers(NBD_CMD_CACHE, WORKERS_CACHING_MAX);
    wait_until_taken(fd);
    expect_long_ones(other);
    empty_workers(fd, 0);
    close(other);
}
END_TEST

/* Whatever two kinds of requests wait for, the third has its own workers. */
START_TEST(each_kind_has_all_of_its_workers)
{
    int reads, writes, caches;
    uint64_t cookie;

    serve_one_export();
    stored_write_back_all();
    writes = served_connect(1);
    served_enter(writes);
    reads = fill_workers(NBD_CMD_READ, WORKERS_OTHERS_MAX);
    for (unsigned i = 0; i < WAITING; i++) {
        served_request(writes, NBD_CMD_WRITE, i, i * PAGE + 10, 100);
        served_send(writes, data, 100);
        model_write(&model, i * PAGE + 10, 100, data);
    }
    faulty_wait_held(faulty, BACKING_READ, WORKERS_OTHERS_MAX + WORKERS_WRITING_MAX);
    caches = served_connect(0);
    served_enter(caches);
    for (unsigned i = 0; i < WAITING; i++)
        served_request(caches, NBD_CMD_CACHE, i, (200 + i) * PAGE, PAGE);
    faulty_wait_held(faulty, BACKING_READ, WORKERS_COUNT);
    empty_workers(reads, PAGE);
    for (unsigned i = 0; i < WAITING; i++) {
        ck_assert_uint_eq(served_reply(writes, &cookie), 0);
        ck_assert_uint_eq(served_reply(caches, &cookie), 0);
    }
    close(writes);
    close(caches);
}
END_TEST

/* All of the volume is asked for; when the client has gone the rest of it stays where it is. */
START_TEST(a_long_cache_request_of_who_has_gone_is_given_up)
{
    uint64_t last = (PAGES - 1) * PAGE; /* in the second MiB */

    stored_write_back_all();
    ck_assert_int_eq(volume_try_read(volume, last, PAGE, got), -EAGAIN);
    int fd = served_connect(0);
    served_enter(fd);
    faulty_hold_fetches(faulty);
    served_request(fd, NBD_CMD_CACHE, 1, 0, SIZE);
    faulty_wait_held(faulty, BACKING_READ, 1);
    close(fd);
    faulty_release(faulty, BACKING_READ, 0);
    served_wait_connections(0);
    ck_assert_int_eq(volume_try_read(volume, last, PAGE, got), -EAGAIN);
}
END_TEST

/* Of which zslotd then looks at the next before it takes it (input.h). */
static void one_at_a_time(int fd)
{
    for (unsigned i = 0; i <= INPUT_ALONE_ENOUGH; i++) {
        served_request(fd, NBD_CMD_READ, i, 0, PAGE);
        expect_page(fd, 0, i);
    }
}

/* The client wrote a part of a stored page, gave up, and wrote the page by another connection. */
START_TEST(a_write_of_a_client_that_has_gone_is_not_carried_out)
{
    uint64_t cookie;

    serve_one_export();
    store_all_but_the_first();
    int fd = served_connect(0), busy = served_connect(1);
    served_enter(fd);
    served_enter(busy);
    one_at_a_time(fd);
    faulty_hold_fetches(faulty);
    /* All workers that may write wait for a page each. */
    for (unsigned i = 0; i < WORKERS_WRITING_MAX; i++) {
        served_request(busy, NBD_CMD_WRITE, i, (i + 1) * PAGE + 10, 100);
        served_send(busy, data, 100);
    }
    faulty_wait_held(faulty, BACKING_READ, WORKERS_WRITING_MAX);
    for (unsigned i = 0; i < 3; i++) {
        served_request(fd, NBD_CMD_WRITE, i, (100 + i) * PAGE, 100);
        served_send(fd, data, 100);
    }
    /* All of that is with workers when this is answered. */
    served_request(fd, NBD_CMD_READ, 99, 0, PAGE);
    expect_page(fd, 0, 99);
    close(fd);

    int again = served_connect(1);
    served_enter(again);
    for (unsigned i = 0; i < 3; i++) {
        sample_page(SAMPLE_RANDOM, 500 + i, got);
        served_request(again, NBD_CMD_WRITE, i, (100 + i) * PAGE, PAGE);
        served_send(again, got, PAGE);
        ck_assert_uint_eq(served_reply(again, &cookie), 0);
        model_write(&model, (100 + i) * PAGE, PAGE, got);
    }
    faulty_release(faulty, BACKING_READ, 0);
    for (unsigned i = 0; i < WORKERS_WRITING_MAX; i++) {
        ck_assert_uint_eq(served_reply(busy, &cookie), 0);
        model_write(&model, (cookie + 1) * PAGE + 10, 100, data);
    }
    served_wait_connections(2);
    close(busy);
    close(again);
    /* teardown compares all of the volume */
}
END_TEST

/* More than there are requests, so that it stalls, and more than it receives at a time; and the client
 * waits for nothing of it. */
START_TEST(what_was_sent_before_a_disc_is_carried_out)
{
    static uint8_t part[NBD_REQUEST_BYTES + 100];
    unsigned more = CONNECTION_REQUESTS + 40;

    store_all_but_the_first();
    int fd = served_connect(0);
    served_enter(fd);
    faulty_hold_fetches(faulty);
    for (unsigned i = 1; i <= more; i++) {
        served_make_request(part, NBD_CMD_WRITE, i, i * PAGE + 10, 100);
        memset(part + NBD_REQUEST_BYTES, (int)i, 100);
        served_send(fd, part, sizeof part);
        model_write(&model, i * PAGE + 10, 100, part + NBD_REQUEST_BYTES);
    }
    for (unsigned i = 0; i < 30; i++) {
        sample_page(SAMPLE_RANDOM, 900 + i, got);
        served_request(fd, NBD_CMD_WRITE, 500 + i, (500 + i) * PAGE, PAGE);
        served_send(fd, got, PAGE);
        model_write(&model, (500 + i) * PAGE, PAGE, got);
    }
    served_request(fd, NBD_CMD_DISC, 0, 0, 0);
    close(fd);
    faulty_release(faulty, BACKING_READ, 0);
    served_wait_connections(0);
    /* teardown compares all of the volume */
}
END_TEST

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The backing store answers long after the time that a client has to take its last answers. */
START_TEST(what_was_sent_before_a_disc_waits_for_a_slow_store)
{
    unsigned more = WORKERS_WRITING_MAX + 4;
    uint64_t cookie, until;

    ck_assert(served_stop());
    served_next.ending_ms = 10;
    served_next.exports = 1;
    served_start(volume, 1, 0);
    store_all_but_the_first();
    int fd = served_connect(0), other = served_connect(0);
    served_enter(fd);
    served_enter(other);
    one_at_a_time(fd);
    faulty_hold_fetches(faulty);
    for (unsigned i = 1; i <= more; i++) {
        served_request(fd, NBD_CMD_WRITE, i, i * PAGE + 10, 100);
        served_send(fd, data, 100);
        model_write(&model, i * PAGE + 10, 100, data);
    }
    served_request(fd, NBD_CMD_DISC, 0, 0, 0);
    close(fd);
    faulty_wait_held(faulty, BACKING_READ, WORKERS_WRITING_MAX);
    /* The loop is at work meanwhile, and its time has passed several times. */
    for (until = now_ms() + 100; now_ms() < until;) {
        served_request(other, NBD_CMD_READ, 1, 0, PAGE);
        ck_assert_uint_eq(served_reply(other, &cookie), 0);
        served_receive(other, got, PAGE);
    }
    faulty_release(faulty, BACKING_READ, 0);
    served_wait_connections(1);
    close(other);
    /* teardown compares all of the volume */
}
END_TEST

/* It holds what it was to be sent no longer than the time for that. */
START_TEST(who_takes_no_answers_after_a_disc_is_parted_from)
{
    ck_assert(served_stop());
    served_next.ending_ms = 10;
    served_start(volume, 1, 0);
    int fd = served_connect(0);
    served_enter(fd);
    served_request(fd, NBD_CMD_READ, 1, 0, 300 * PAGE);
    served_request(fd, NBD_CMD_DISC, 0, 0, 0);
    served_wait_connections(0);
    close(fd);
}
END_TEST

/* The write lies behind more reads than there is room for answers, and then the client closes
 * its end, without a DISC. */
START_TEST(requests_behind_a_stall_are_not_carried_out_for_who_has_gone)
{
    static uint8_t all[1001 * NBD_REQUEST_BYTES + PAGE];
    int fd = served_connect(0);
    size_t at = 0;

    served_enter(fd);
    for (unsigned i = 0; i < 1000; i++)
        at += served_make_request(all + at, NBD_CMD_READ, i, PAGE, PAGE);
    at += served_make_request(all + at, NBD_CMD_WRITE, 2000, 0, PAGE);
    memset(all + at, 0xee, PAGE);
    /* In one piece: in small ones they would not fit into the socket. */
    served_send(fd, all, sizeof all);
    /* With the first answer all of that has been received, and most of it waits behind the stall. */
    uint64_t cookie;
    ck_assert_uint_eq(served_reply(fd, &cookie), 0);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    ck_assert(served_is_closed(fd));
    close(fd);
    served_wait_connections(0);
    ck_assert_int_eq(stored_read_page(0), 0);
}
END_TEST

START_TEST(stopping_answers_what_was_taken_in)
{
    uint64_t cookie;

    store_all_but_the_first();
    int fd = served_connect(0);
    served_enter(fd);
    served_request(fd, NBD_CMD_READ, 7, 0, PAGE);
    expect_page(fd, 0, 7);
    faulty_hold_fetches(faulty);
    served_request(fd, NBD_CMD_WRITE, 1, PAGE + 10, 100);
    served_send(fd, data, 100);
    faulty_wait_held(faulty, BACKING_READ, 1);
    faulty_release(faulty, BACKING_READ, 0);
    ck_assert(served_stop());
    ck_assert_uint_eq(served_reply(fd, &cookie), 0);
    ck_assert_uint_eq(cookie, 1);
    model_write(&model, PAGE + 10, 100, data);
    ck_assert(served_is_closed(fd));
    close(fd);
    served_start(volume, 1, 0); /* for teardown */
}
END_TEST

static bool always(void *opaque)
{
    (void)opaque;
    return true;
}

/* Not with an error, which for a client that swaps is the page's end. */
START_TEST(stopping_closes_the_socket_of_who_waits_for_a_store_that_hangs)
{
    static const struct volume_host host = {.is_ending = always};

    ck_assert(served_stop());
    volume_set_host(volume, &host);
    served_start(volume, 1, 0);
    store_all_but_the_first();
    int fd = served_connect(0);
    served_enter(fd);
    faulty_hold_fetches(faulty);
    for (unsigned i = 1; i <= 100; i++)
        served_request(fd, NBD_CMD_READ, i, i * PAGE, PAGE);
    faulty_wait_held(faulty, BACKING_READ, 20);
    ck_assert(served_stop());
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    ck_assert(n == 0 || (n < 0 && errno == ECONNRESET));
    close(fd);
    faulty_release(faulty, BACKING_READ, 0);
    served_start(volume, 1, 0); /* for teardown */
}
END_TEST

START_TEST(stopping_does_not_answer_what_was_not)
{
    int fd = served_connect(0);

    served_enter(fd);
    /* The first half of a write. */
    served_request(fd, NBD_CMD_WRITE, 1, 0, PAGE);
    served_send(fd, data, PAGE / 2);
    ck_assert(served_stop());
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    ck_assert(n == 0 || (n < 0 && errno == ECONNRESET));
    close(fd);
    served_start(volume, 1, 0);
}
END_TEST

HARNESS_MAIN_WITH("fault-zslotd", setup, teardown,
                  a_fetch_does_not_hold_up_the_same_connection,
                  more_fetches_than_requests_are_served_in_the_end,
                  a_partial_write_of_a_stored_page_does_not_hold_up_others,
                  a_fetch_that_fails_is_eio_and_the_connection_goes_on,
                  fetches_leave_workers_to_writes,
                  fetches_of_one_export_leave_workers_to_another,
                  cache_requests_leave_workers_to_others,
                  each_kind_has_all_of_its_workers,
                  a_long_cache_request_of_who_has_gone_is_given_up,
                  a_write_of_a_client_that_has_gone_is_not_carried_out,
                  what_was_sent_before_a_disc_is_carried_out,
                  what_was_sent_before_a_disc_waits_for_a_slow_store,
                  who_takes_no_answers_after_a_disc_is_parted_from,
                  requests_behind_a_stall_are_not_carried_out_for_who_has_gone,
                  stopping_answers_what_was_taken_in,
                  stopping_closes_the_socket_of_who_waits_for_a_store_that_hangs,
                  stopping_does_not_answer_what_was_not)
