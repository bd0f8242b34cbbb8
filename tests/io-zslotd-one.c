/* io-zslotd-one.c - clients that wait for one answer before they send the next request
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gate.h"
#include "harness.h"
#include "input.h"
#include "sample.h"
#include "served.h"
#include "server.h"

#define BYTES (2u * MIB)
#define BURST_MAX 4u
#define LENGTH_MAX (3u * PAGE)
#define POLL_US 1000u
#define ENOUGH (INPUT_ALONE_ENOUGH + 1)

static struct volume *volume;
static uint8_t page[PAGE], got[LENGTH_MAX];

/* A codec that takes longer than a client needs to fall asleep. */
static void set_up(void)
{
    volume = harness_open("size", "2M", "compressor", "zstd:9", NULL);
    served_start(volume, 1, 0);
    sample_page(SAMPLE_TEXT, 1, page);
}

static void tear_down(void)
{
    served_wait_connections(0);
    ck_assert(served_stop());
    harness_close(volume);
}

static int enter(void)
{
    int fd = served_connect(0);

    served_enter(fd);
    return fd;
}

/* In one piece, so that it comes in one. */
static void send_write(int fd, uint64_t number)
{
    uint8_t request[NBD_REQUEST_BYTES + PAGE];

    page[0] = (uint8_t)number;
    size_t at = served_make_request(request, NBD_CMD_WRITE, number,
                                    number % (BYTES / PAGE) * PAGE, PAGE);
    memcpy(request + at, page, PAGE);
    served_send(fd, request, sizeof request);
}

static void expect_reply(int fd, uint64_t number)
{
    uint64_t cookie;

    ck_assert_uint_eq(served_reply(fd, &cookie), 0);
    ck_assert_uint_eq(cookie, number);
}

static void write_page(int fd, uint64_t number)
{
    send_write(fd, number);
    expect_reply(fd, number);
}

/* So that the next request is looked at first. */
static void one_at_a_time(int fd)
{
    for (unsigned i = 0; i < ENOUGH; i++)
        write_page(fd, i);
}

static void read_page(int fd, uint64_t number)
{
    served_request(fd, NBD_CMD_READ, number, number % (BYTES / PAGE) * PAGE, PAGE);
    expect_reply(fd, number);
    served_receive(fd, got, PAGE);
    page[0] = (uint8_t)number;
    ck_assert_mem_eq(got, page, PAGE);
}

/* -- Wakes. -- */

static long times_asleep(void)
{
    struct rusage usage;

    ck_assert_int_eq(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_nvcsw;
}

/* When a request leaves a Unix socket, whoever waits in a receive at the other end is woken for nothing.  (Who sends
 * the next one before the last was taken away is woken by that.) */
START_TEST(a_client_that_waits_for_its_answer_is_woken_by_nothing_else)
{
    const long count = 400;
    long sum = 0;
    int fd = enter();

    one_at_a_time(fd);
    for (long i = 0; i < count; i++) {
        served_wait_taken(fd);
        long before = times_asleep();
        write_page(fd, (uint64_t)i);
        sum += times_asleep() - before;
    }
    ck_assert_int_le(sum, count + count / 10);
    close(fd);
}
END_TEST

START_TEST(a_disc_behind_one_request_at_a_time_is_an_end_without_an_error)
{
    for (unsigned turn = 0; turn < 20; turn++) {
        int fd = enter();
        char byte;

        one_at_a_time(fd);
        served_request(fd, NBD_CMD_DISC, 0, 0, 0);
        ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
        close(fd);
    }
}
END_TEST

/* -- What comes while one is executed, and is not taken away yet. -- */

/* The loop is executing a write of page NUMBER that it has looked at. */
static void stop_in_write(int fd, uint64_t number)
{
    one_at_a_time(fd);
    served_wait_taken(fd);
    halt_at(GATE_WRITE_BUILT, number);
    send_write(fd, number);
    halt_wait();
}

static void expect_page(uint64_t number, uint8_t first)
{
    ck_assert_int_eq(volume_read(volume, number * PAGE, PAGE, got), 0);
    page[0] = first;
    ck_assert_mem_eq(got, page, PAGE);
}

START_TEST(a_request_that_came_alone_is_taken_when_it_has_been_answered)
{
    int fd = enter();

    stop_in_write(fd, 100);
    ck_assert(!served_has_taken(fd));
    halt_go();
    expect_reply(fd, 100);
    served_wait_taken(fd);
    close(fd);
}
END_TEST

START_TEST(what_comes_behind_a_request_that_is_looked_at_is_kept)
{
    int fd = enter();

    for (unsigned turn = 0; turn < 20; turn++) {
        stop_in_write(fd, 100);
        send_write(fd, 101);
        halt_go();
        expect_reply(fd, 100);
        expect_reply(fd, 101);
        read_page(fd, 101);
    }
    close(fd);
}
END_TEST

START_TEST(what_comes_behind_it_before_a_disc_is_carried_out)
{
    for (unsigned turn = 0; turn < 20; turn++) {
        int fd = enter();

        stop_in_write(fd, 100);
        send_write(fd, 101 + turn);
        served_request(fd, NBD_CMD_DISC, 0, 0, 0);
        close(fd);
        halt_go();
        served_wait_connections(0);
        expect_page(100, 100);
        expect_page(101 + turn, (uint8_t)(101 + turn));
    }
}
END_TEST

/* A page that the client has written by another connection since. */
static void rewrite(uint64_t number)
{
    int fd = served_connect(1);
    uint8_t other[PAGE];

    served_enter(fd);
    memcpy(other, page, PAGE);
    other[0] = 0xee;
    served_request(fd, NBD_CMD_WRITE, number, number * PAGE, PAGE);
    served_send(fd, other, PAGE);
    expect_reply(fd, number);
    close(fd);
}

START_TEST(what_comes_behind_it_from_who_has_gone_is_not_carried_out)
{
    ck_assert(served_stop());
    served_start(volume, 2, 0);
    for (unsigned turn = 0; turn < 20; turn++) {
        int fd = enter();

        stop_in_write(fd, 100);
        send_write(fd, 101 + turn);
        close(fd);
        rewrite(101 + turn);
        halt_go();
        served_wait_connections(0);
        expect_page(101 + turn, 0xee);
    }
}
END_TEST

/* -- All of what is sent, once and in order. -- */

struct client {
    int fd;
    uint64_t seed, cookie;
    uint8_t out[BURST_MAX * (NBD_REQUEST_BYTES + LENGTH_MAX)];
    size_t out_bytes;
    struct {
        bool is_write;
        uint64_t offset;
        uint32_t bytes;
        size_t end; /* in out */
    } sent[BURST_MAX];
    uint8_t model[BYTES];
};

static uint32_t random_below(struct client *client, uint32_t bound)
{
    return (uint32_t)(harness_random(&client->seed) % bound);
}

static void make_request(struct client *client, unsigned place)
{
    bool is_write = random_below(client, 2);
    uint32_t bytes =
        random_below(client, 4) ? PAGE : 1 + random_below(client, LENGTH_MAX);
    uint64_t offset = random_below(client, BYTES - LENGTH_MAX);

    client->sent[place].is_write = is_write;
    client->sent[place].offset = offset;
    client->sent[place].bytes = bytes;
    client->out_bytes += served_make_request(client->out + client->out_bytes,
                                             is_write ? NBD_CMD_WRITE : NBD_CMD_READ,
                                             client->cookie + place, offset, bytes);
    if (is_write) {
        for (uint32_t i = 0; i < bytes; i++)
            client->out[client->out_bytes + i] =
                page[(offset + i + client->cookie) % PAGE];
        memcpy(client->model + offset, client->out + client->out_bytes, bytes);
        client->out_bytes += bytes;
    }
    client->sent[place].end = client->out_bytes;
}

/* All at once, request by request, or in any pieces. */
static void send_burst(struct client *client, unsigned count)
{
    uint32_t how = random_below(client, 6);
    size_t at = 0;

    for (unsigned i = 0; at < client->out_bytes; i++) {
        size_t end = client->out_bytes;

        if (how > 1 && i < count)
            end = client->sent[i].end;
        else if (how == 1)
            end = at + 1 + random_below(client, (uint32_t)(client->out_bytes - at));
        served_send(client->fd, client->out + at, end - at);
        at = end;
    }
    client->out_bytes = 0;
}

/* Of the reads only the last request is compared: the model has what was written behind the others. */
static void one_burst(struct client *client)
{
    unsigned count = random_below(client, 8) ? 1 : 1 + random_below(client, BURST_MAX);

    for (unsigned i = 0; i < count; i++)
        make_request(client, i);
    send_burst(client, count);
    for (unsigned i = 0; i < count; i++) {
        uint64_t cookie;

        ck_assert_uint_eq(served_reply(client->fd, &cookie), 0);
        ck_assert_uint_eq(cookie, client->cookie + i);
        if (client->sent[i].is_write)
            continue;
        served_receive(client->fd, got, client->sent[i].bytes);
        if (i + 1 == count)
            ck_assert_mem_eq(got, client->model + client->sent[i].offset,
                             client->sent[i].bytes);
    }
    client->cookie += count;
}

static void converse(unsigned bursts)
{
    static struct client client;

    memset(&client, 0, sizeof client);
    client.fd = enter();
    client.seed = 7;
    for (unsigned i = 0; i < bursts; i++)
        one_burst(&client);
    close(client.fd);
    served_wait_connections(0);
    for (uint64_t at = 0; at < BYTES; at += PAGE) {
        ck_assert_int_eq(volume_read(volume, at, PAGE, got), 0);
        ck_assert_mem_eq(got, client.model + at, PAGE);
    }
}

START_TEST(one_request_and_several_in_any_pieces_are_all_carried_out)
{
    converse(1500);
}
END_TEST

START_TEST(polling_loops_carry_out_all_of_it_too)
{
    ck_assert(served_stop());
    served_start(volume, 1, POLL_US);
    converse(1500);
}
END_TEST

/* -- What is no part of the stream. -- */

static double processor_ms(clockid_t clock)
{
    struct timespec time;

    ck_assert_int_eq(clock_gettime(clock, &time), 0);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* The event says that there is something, and a look finds nothing (Linux 6.9). */
START_TEST(an_urgent_byte_does_not_keep_the_loop_busy)
{
    clockid_t clock;
    int fd = enter();

    ck_assert_int_eq(pthread_getcpuclockid(served_thread(0), &clock), 0);
    one_at_a_time(fd);
    if (send(fd, "", 1, MSG_OOB) == 1) {
        double before = processor_ms(clock);

        usleep(300000);
        ck_assert_double_lt(processor_ms(clock) - before, 100);
        one_at_a_time(fd);
    }
    close(fd);
}
END_TEST

HARNESS_MAIN_WITH("io-zslotd-one", set_up, tear_down,
                  a_client_that_waits_for_its_answer_is_woken_by_nothing_else,
                  a_disc_behind_one_request_at_a_time_is_an_end_without_an_error,
                  a_request_that_came_alone_is_taken_when_it_has_been_answered,
                  an_urgent_byte_does_not_keep_the_loop_busy,
                  what_comes_behind_a_request_that_is_looked_at_is_kept,
                  what_comes_behind_it_before_a_disc_is_carried_out,
                  what_comes_behind_it_from_who_has_gone_is_not_carried_out,
                  one_request_and_several_in_any_pieces_are_all_carried_out,
                  polling_loops_carry_out_all_of_it_too)
