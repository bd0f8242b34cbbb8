/* io-zslotd-gather.c - clients that are busy with the answers they have
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gather.h"
#include "harness.h"
#include "sample.h"
#include "served.h"
#include "server.h"

#define PAGES 512u
#define REQUEST (NBD_REQUEST_BYTES + PAGE)
#define BEHIND 12u    /* answers, and it is waited for */
#define TOO_MANY 200u /* requests without a reception too few */
#define FOR_EVER_MS 3600000u

static struct volume *volume;
static int other; /* another client of the same loop, which is up with its answers */
static uint8_t page[PAGE], large[2 * MIB];
static uint64_t sent, answered;

static void begin(unsigned gather_ms, unsigned poll_us)
{
    served_next.gather_ms = gather_ms;
    served_start(volume, 1, poll_us);
    other = served_connect(0);
    served_enter(other);
}

static void end(void)
{
    close(other);
    served_wait_connections(0);
    ck_assert(served_stop());
}

static void set_up(void)
{
    volume = harness_open("size", "4M", "compressor", "lz4", NULL);
    sample_page(SAMPLE_TEXT, 1, page);
    sent = answered = 0;
    begin(FOR_EVER_MS, 0);
}

static void tear_down(void)
{
    end();
    harness_close(volume);
}

static int enter(void)
{
    int fd = served_connect(0);

    served_enter(fd);
    return fd;
}

static void make_one(uint8_t to[REQUEST])
{
    uint64_t number = sent++ % PAGES;

    page[0] = (uint8_t)number;
    served_make_request(to, NBD_CMD_WRITE, number, number * PAGE, PAGE);
    memcpy(to + NBD_REQUEST_BYTES, page, PAGE);
}

/* In one piece, and so it is received. */
static void send_one(int fd)
{
    uint8_t request[REQUEST];

    make_one(request);
    served_send(fd, request, sizeof request);
}

static void expect_answer(int fd)
{
    uint64_t cookie;

    ck_assert_uint_eq(served_reply(fd, &cookie), 0);
    ck_assert_uint_eq(cookie, answered++ % PAGES);
}

/* Whether what was sent before this is received by now: the loop has been once around since. */
static bool is_received(int fd)
{
    uint64_t cookie;

    for (unsigned i = 0; i < 2; i++) {
        served_request(other, NBD_CMD_FLUSH, i, 0, 0);
        ck_assert_uint_eq(served_reply(other, &cookie), 0);
    }
    return served_has_taken(fd);
}

static void send_and_have_received(int fd)
{
    send_one(fd);
    ck_assert(is_received(fd));
}

/* Sends one after the other, and reads no answer, until one is left in the socket. */
static void fall_behind(int fd)
{
    do {
        ck_assert_uint_lt(sent, TOO_MANY);
        send_one(fd);
    } while (is_received(fd));
}

static void expect_all(int fd)
{
    while (answered < sent)
        expect_answer(fd);
}

static void expect_pages(void)
{
    uint8_t got[PAGE];

    for (uint64_t i = 0; i < sent; i++) {
        page[0] = (uint8_t)i;
        ck_assert_int_eq(volume_read(volume, i % PAGES * PAGE, PAGE, got), 0);
        ck_assert_mem_eq(got, page, PAGE);
    }
}

/* -- Waiting. -- */

static void read_some(void)
{
    int fd = enter();

    fall_behind(fd);
    uint64_t behind = sent - 1;
    ck_assert_uint_ge(behind, BEHIND);
    while (!is_received(fd))
        expect_answer(fd);
    ck_assert_uint_ge(answered, 2);
    ck_assert_uint_ge(behind - answered, BEHIND / 2);
    expect_all(fd);
    /* And it goes on. */
    for (unsigned i = 0; i < 50; i++) {
        send_one(fd);
        expect_answer(fd);
    }
    expect_pages();
    close(fd);
}

/* At the first turn, and not at one of the sixteen after it, it was not. */
START_TEST(a_client_that_was_behind_is_soon_seen_to_be_behind_again)
{
    int fd = enter();

    fall_behind(fd);
    expect_all(fd);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(is_received(fd));
        uint64_t begun = sent;
        fall_behind(fd);
        ck_assert_uint_le(sent - begun, BEHIND + 3);
        expect_all(fd);
    }
    expect_pages();
    close(fd);
}
END_TEST

START_TEST(requests_are_received_when_some_of_the_answers_are_read)
{
    read_some();
}
END_TEST

START_TEST(requests_are_received_when_some_of_the_answers_are_read_by_a_polling_loop)
{
    end();
    begin(FOR_EVER_MS, 50);
    read_some();
}
END_TEST

START_TEST(all_that_has_gathered_is_carried_out)
{
    int fd = enter();

    fall_behind(fd);
    for (unsigned i = 0; i < 20; i++)
        send_one(fd);
    expect_all(fd);
    expect_pages();
    close(fd);
}
END_TEST

/* As libnbd sends a write: its data are to come. */
START_TEST(a_request_that_came_in_part_is_received_to_its_end)
{
    uint8_t requests[2 * REQUEST];
    int fd = enter();

    for (unsigned i = 0; i < GATHER_ASK_EACH - 1; i++)
        send_and_have_received(fd);
    make_one(requests);
    make_one(requests + REQUEST);
    served_send(fd, requests, REQUEST + NBD_REQUEST_BYTES);
    ck_assert(is_received(fd));
    served_send(fd, requests + REQUEST + NBD_REQUEST_BYTES, PAGE);
    ck_assert(!is_received(fd));
    expect_all(fd);
    expect_pages();
    close(fd);
}
END_TEST

/* Sends a batch in one piece, reads no answer, and has BATCHES of one received. */
static void fall_behind_at_once(int fd, unsigned batches)
{
    static uint8_t requests[16 * REQUEST];

    for (unsigned i = batches + 1; i < GATHER_ASK_EACH; i++) {
        send_and_have_received(fd);
        expect_answer(fd);
    }
    for (unsigned i = 0; i < 16; i++)
        make_one(requests + (size_t)i * REQUEST);
    served_halt(0);
    served_send(fd, requests, sizeof requests);
    served_resume();
    ck_assert(is_received(fd));
    for (unsigned i = 0; i < batches; i++)
        send_and_have_received(fd);
    send_one(fd);
    ck_assert(!is_received(fd));
    expect_all(fd);
    expect_pages();
    close(fd);
}

START_TEST(a_client_that_is_behind_after_a_large_batch_is_waited_for)
{
    fall_behind_at_once(enter(), 0);
}
END_TEST

/* The last message had one answer, those before it many. */
START_TEST(a_client_that_is_behind_by_a_large_batch_is_waited_for_after_a_small_one)
{
    fall_behind_at_once(enter(), 1);
}
END_TEST

/* -- Not waiting. -- */

/* It will have to wait soon. */
START_TEST(a_client_that_is_few_answers_behind_is_received_from_at_once)
{
    int fd = enter();

    for (unsigned i = 0; i < BEHIND / 2; i++)
        send_one(fd);
    for (unsigned i = 0; i < 200; i++) {
        send_and_have_received(fd);
        send_and_have_received(fd);
        expect_answer(fd);
        expect_answer(fd);
    }
    expect_all(fd);
    close(fd);
}
END_TEST

static void read_between_writes(uint32_t bytes)
{
    uint64_t cookie;
    int fd = enter();

    for (unsigned i = 0; i < 100; i++) {
        served_request(fd, NBD_CMD_READ, 1000, 0, bytes);
        ck_assert_int_eq(recv(fd, large, 1, MSG_PEEK), 1);
        send_and_have_received(fd);
        send_and_have_received(fd);
        ck_assert_uint_eq(served_reply(fd, &cookie), 0);
        served_receive(fd, large, bytes);
        expect_all(fd);
    }
    close(fd);
}

/* It takes as much as many small ones. */
START_TEST(a_client_that_is_a_long_answer_behind_is_received_from_at_once)
{
    read_between_writes(REQUEST_INLINE_BYTES);
}
END_TEST

START_TEST(a_client_that_is_a_worker_s_answer_behind_is_received_from_at_once)
{
    read_between_writes(REQUEST_INLINE_BYTES + 8 * PAGE);
}
END_TEST

/* Its data are more than the sockets hold, and it reads no answer before they are sent. */
static void write_amid_answers(uint64_t offset, uint32_t error)
{
    uint64_t cookie;
    int fd = enter();

    for (unsigned i = 0; i < GATHER_ASK_EACH - 1; i++)
        send_and_have_received(fd);
    memset(large, 'x', sizeof large);
    served_request(fd, NBD_CMD_WRITE, 1000, offset, sizeof large);
    served_send(fd, large, sizeof large);
    expect_all(fd);
    ck_assert_uint_eq(served_reply(fd, &cookie), error);
    ck_assert_uint_eq(cookie, 1000);
    close(fd);
}

START_TEST(a_client_amid_a_large_write_is_not_waited_for)
{
    write_amid_answers(MIB, 0);
}
END_TEST

START_TEST(a_client_amid_a_refused_large_write_is_not_waited_for)
{
    write_amid_answers(1024 * MIB, nbd_error(-ENOSPC));
}
END_TEST

/* As somebody does who sends all that there is to do before the first answer is read. */
static void not_read(void)
{
    time_t begun;

    end();
    begin(1000, 0);
    int fd = enter();

    fall_behind(fd);
    served_wait_taken(fd);
    begun = time(NULL);
    for (unsigned i = 0; i < 500; i++) {
        send_one(fd);
        served_wait_taken(fd);
    }
    /* Each sixteenth would wait for a second. */
    ck_assert_int_lt(time(NULL) - begun, 15);
    expect_all(fd);
    expect_pages();
    close(fd);
}

START_TEST(a_client_that_does_not_read_is_soon_waited_for_no_more)
{
    not_read();
}
END_TEST

/* It has the same clock, and no answers meanwhile. */
START_TEST(a_client_that_does_not_read_is_waited_for_no_more_with_cpu_latency_either)
{
    struct cpu_latency *latency;
    struct reason reason;

    ck_assert_int_eq(cpu_latency_open("/dev/null", 0, &latency, &reason), 0);
    served_next.cpu_latency = latency;
    not_read();
    end();
    cpu_latency_close(latency);
    begin(FOR_EVER_MS, 0);
}
END_TEST

/* It is not its fault that the loop looks later. */
START_TEST(a_client_that_has_read_when_the_time_is_over_is_waited_for_again)
{
    static const struct timespec moment = {.tv_nsec = 20000000};
    static const struct timespec longer = {.tv_nsec = 500000000};

    end();
    begin(400, 0);
    int fd = enter();

    for (unsigned i = 0; i < GATHER_ASK_EACH; i++)
        send_and_have_received(fd);
    /* Then it waits for events, and the signal is an end of that without any: timers come first. */
    nanosleep(&moment, NULL);
    served_halt(0);
    expect_all(fd);
    nanosleep(&longer, NULL);
    served_resume();
    fall_behind(fd);
    expect_all(fd);
    close(fd);
}
END_TEST

/* -- Ends. -- */

START_TEST(a_client_that_closes_with_answers_left_is_gone)
{
    int fd = enter();

    fall_behind(fd);
    close(fd);
    served_wait_connections(1);
}
END_TEST

/* It may have written the same by another connection. */
START_TEST(what_has_gathered_of_a_client_that_has_gone_is_not_carried_out)
{
    uint8_t got[PAGE];
    int fd = enter();

    fall_behind(fd);
    uint64_t last = sent - 1;
    ck_assert_uint_ne(page[1], 0);
    close(fd);
    served_wait_connections(1);
    ck_assert_int_eq(volume_read(volume, last * PAGE, PAGE, got), 0);
    ck_assert_uint_eq(got[1], 0);
}
END_TEST

START_TEST(a_disc_behind_what_has_gathered_is_an_end)
{
    int fd = enter();
    char byte;

    fall_behind(fd);
    served_request(fd, NBD_CMD_DISC, 0, 0, 0);
    expect_all(fd);
    ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
    expect_pages();
    close(fd);
}
END_TEST

/* How much of an answer that is too long for it the socket takes. */
static int held_by_socket(int fd)
{
    int bytes = 0;

    served_request(fd, NBD_CMD_READ, 7, 0, sizeof large);
    while (bytes == 0) {
        sched_yield();
        ck_assert_int_eq(ioctl(fd, SIOCINQ, &bytes), 0);
    }
    (void)is_received(fd);
    ck_assert_int_eq(ioctl(fd, SIOCINQ, &bytes), 0);
    return bytes;
}

START_TEST(answers_are_sent_through_a_buffer_of_the_usual_size_again)
{
    int fd = enter(), fresh = enter();

    fall_behind(fd);
    expect_all(fd);
    ck_assert_int_eq(held_by_socket(fd), held_by_socket(fresh));
    close(fresh);
    close(fd);
}
END_TEST

START_TEST(the_end_comes_in_time_when_requests_have_gathered)
{
    int fd = enter();

    fall_behind(fd);
    ck_assert(served_stop());
    close(fd);
    close(other);
    begin(FOR_EVER_MS, 0);
}
END_TEST

HARNESS_MAIN_WITH(
    "io-zslotd-gather", set_up, tear_down,
    a_client_that_was_behind_is_soon_seen_to_be_behind_again,
    requests_are_received_when_some_of_the_answers_are_read,
    requests_are_received_when_some_of_the_answers_are_read_by_a_polling_loop,
    all_that_has_gathered_is_carried_out,
    a_request_that_came_in_part_is_received_to_its_end,
    a_client_that_is_behind_after_a_large_batch_is_waited_for,
    a_client_that_is_behind_by_a_large_batch_is_waited_for_after_a_small_one,
    a_client_that_is_few_answers_behind_is_received_from_at_once,
    a_client_that_is_a_long_answer_behind_is_received_from_at_once,
    a_client_that_is_a_worker_s_answer_behind_is_received_from_at_once,
    a_client_amid_a_large_write_is_not_waited_for,
    a_client_amid_a_refused_large_write_is_not_waited_for,
    a_client_that_does_not_read_is_waited_for_no_more_with_cpu_latency_either,
    a_client_that_does_not_read_is_soon_waited_for_no_more,
    a_client_that_has_read_when_the_time_is_over_is_waited_for_again,
    a_client_that_closes_with_answers_left_is_gone,
    what_has_gathered_of_a_client_that_has_gone_is_not_carried_out,
    a_disc_behind_what_has_gathered_is_an_end,
    answers_are_sent_through_a_buffer_of_the_usual_size_again,
    the_end_comes_in_time_when_requests_have_gathered)
