/* fault-zslotd-tls.c - connections with TLS, and clients that do in it what they should not
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backing-faulty.h"
#include "connection.h"
#include "harness.h"
#include "model.h"
#include "sample.h"
#include "served.h"
#include "server.h"
#include "starttls.h"
#include "stored.h"

static unsigned char data[PAGE], got[PAGE];
static char psk[STARTTLS_PATH_BYTES];

static void setup(void)
{
    stored_setup();
    starttls_make_keys(psk);
    served_start_tls(volume, 2, TLS_REQUIRE, psk);
}

static void teardown(void)
{
    ck_assert(served_stop());
    unlink(psk);
    stored_teardown();
}

/* -- Clients. -- */

static struct nbd_handle *client_of(int fd, const char *name, int *r)
{
    struct nbd_handle *nbd = nbd_create();

    ck_assert_ptr_nonnull(nbd);
    NBD_OK(nbd_set_tls(nbd, LIBNBD_TLS_REQUIRE));
    NBD_OK(nbd_set_tls_psk_file(nbd, psk));
    NBD_OK(nbd_set_tls_username(nbd, name));
    *r = nbd_connect_socket(nbd, fd);
    return nbd;
}

static struct nbd_handle *client(unsigned loop)
{
    int r;
    struct nbd_handle *nbd = client_of(served_connect(loop), "alice", &r);

    NBD_OK(r);
    ck_assert_int_eq(nbd_get_tls_negotiated(nbd), 1);
    return nbd;
}

static void leave(struct nbd_handle *nbd)
{
    NBD_OK(nbd_shutdown(nbd, 0));
    nbd_close(nbd);
}

static void drain(struct nbd_handle *nbd)
{
    while (nbd_aio_in_flight(nbd) > 0) {
        NBD_OK(nbd_poll(nbd, -1));
        for (int64_t cookie; (cookie = nbd_aio_peek_command_completed(nbd)) > 0;)
            NBD_OK(nbd_aio_command_completed(nbd, (uint64_t)cookie));
    }
}

/* -- What works. -- */

START_TEST(all_lengths_come_and_go)
{
    static const size_t lengths[] = {1,     511,   4095,  4096,   4097,   16384,
                                     16385, 65536, 65537, 262144, 262145, MIB};
    struct nbd_handle *nbd = client(0);
    char *sent = malloc(2 * MIB), *back = malloc(2 * MIB);
    uint64_t seed = 5;

    ck_assert(sent && back);
    for (size_t i = 0; i < 2 * MIB; i += PAGE)
        sample_page(SAMPLE_RANDOM, seed++, (unsigned char *)sent + i);
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t bytes = lengths[i];

        NBD_OK(nbd_pwrite(nbd, sent + i, bytes, 123, 0));
        model_write(&model, 123, bytes, sent + i);
        NBD_OK(nbd_pread(nbd, back, bytes, 123, 0));
        ck_assert_mem_eq(back, sent + i, bytes);
    }
    free(sent);
    free(back);
    leave(nbd);
}
END_TEST

/* Of the first pages that have content, again and again, all at once. */
static void ask_for(struct nbd_handle *nbd, char (*pages)[PAGE], unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        NBD_OK((int)nbd_aio_pread(nbd, pages[i], PAGE, (uint64_t)(i % 300) * PAGE,
                                  NBD_NULL_COMPLETION, 0));
}

static void expect(struct nbd_handle *nbd, char (*pages)[PAGE], unsigned count)
{
    drain(nbd);
    for (unsigned i = 0; i < count; i++)
        ck_assert_mem_eq(pages[i], model.bytes + (size_t)(i % 300) * PAGE, PAGE);
}

/* More than one record, and more than the buffer holds, in one go. */
START_TEST(many_requests_at_once_are_answered_all)
{
    enum { COUNT = 700 };
    static char pages[COUNT][PAGE];
    struct nbd_handle *nbd = client(1);

    ask_for(nbd, pages, COUNT);
    expect(nbd, pages, COUNT);
    leave(nbd);
}
END_TEST

/* A record that the socket does not take has to be sent to its end before anything else, wherever in
 * an answer it begins. */
START_TEST(answers_of_workers_and_of_the_loop_do_not_mix)
{
    enum { LARGE = 12, SMALL = 40 };
    static char large[LARGE][2 * 65536], small[SMALL][PAGE];
    struct nbd_handle *nbd = client(0), *other = client(0);

    for (unsigned turn = 0; turn < 60; turn++) {
        size_t bytes = 65537 + turn * 997;

        for (unsigned i = 0; i < LARGE; i++)
            NBD_OK((int)nbd_aio_pread(nbd, large[i], bytes, i * PAGE,
                                      NBD_NULL_COMPLETION, 0));
        /* Nobody reads meanwhile, so that sending the first ones blocks; then the loop answers.  The
         * other client's turns are the loop's, too. */
        for (unsigned i = 0; i < 20; i++)
            NBD_OK(nbd_pread(other, got, PAGE, 0, 0));
        for (unsigned i = 0; i < SMALL; i++)
            NBD_OK((int)nbd_aio_pread(nbd, small[i], PAGE, i * PAGE,
                                      NBD_NULL_COMPLETION, 0));
        for (unsigned i = 0; i < 20; i++)
            NBD_OK(nbd_pread(other, got, PAGE, 0, 0));
        drain(nbd);
        for (unsigned i = 0; i < LARGE; i++)
            ck_assert_mem_eq(large[i], model.bytes + i * PAGE, bytes);
        for (unsigned i = 0; i < SMALL; i++)
            ck_assert_mem_eq(small[i], model.bytes + i * PAGE, PAGE);
    }
    leave(other);
    leave(nbd);
}
END_TEST

START_TEST(a_fetch_does_not_hold_up_the_same_connection)
{
    struct nbd_handle *nbd = client(0);

    stored_write_back_all();
    sample_page(SAMPLE_RANDOM, 77, data);
    model_write_both(&model, volume, 0, PAGE, data);
    faulty_hold_fetches(faulty);
    int64_t held = nbd_aio_pread(nbd, got, PAGE, PAGE, NBD_NULL_COMPLETION, 0);
    ck_assert_int_gt(held, 0);
    NBD_OK(nbd_pread(nbd, data, PAGE, 0, 0));
    ck_assert_mem_eq(data, model.bytes, PAGE);
    faulty_release(faulty, BACKING_READ, 0);
    while (nbd_aio_command_completed(nbd, (uint64_t)held) == 0)
        NBD_OK(nbd_poll(nbd, -1));
    ck_assert_mem_eq(got, model.bytes + PAGE, PAGE);
    leave(nbd);
}
END_TEST

/* -- What does not. -- */

START_TEST(bytes_behind_starttls_end_the_connection_unanswered)
{
    uint8_t hello[256];

    for (size_t more = 1; more <= NBD_OPTION_HEADER_BYTES; more++) {
        int fd = served_connect(0);
        size_t bytes = starttls_make_hello(hello);

        starttls_take_greeting(fd);
        starttls_put_option(hello + bytes, NBD_OPT_LIST);
        served_send(fd, hello, bytes + more);
        char byte;
        ssize_t n = recv(fd, &byte, 1, 0);
        ck_assert(n == 0 || (n < 0 && errno == ECONNRESET));
        close(fd);
    }
    served_wait_connections(0);
}
END_TEST

/* The answer has come, and then plain bytes instead of a handshake. */
START_TEST(plain_bytes_for_a_handshake_end_the_connection)
{
    uint8_t plain[512];
    int fd = starttls_begin(0);
    size_t bytes = 0;

    for (unsigned i = 0; i < 16; i++)
        bytes += starttls_put_option(plain + bytes, NBD_OPT_LIST);
    served_send(fd, plain, bytes);
    ck_assert(served_is_closed(fd));
    close(fd);
    served_wait_connections(0);
}
END_TEST

START_TEST(a_wrong_name_or_no_tls_does_not_come_in)
{
    int r;
    struct nbd_handle *nbd = client_of(served_connect(0), "mallory", &r);

    ck_assert_int_eq(r, -1);
    nbd_close(nbd);
    nbd = nbd_create();
    ck_assert_int_eq(nbd_connect_socket(nbd, served_connect(0)), -1);
    nbd_close(nbd);
    served_wait_connections(0);
    leave(client(0));
}
END_TEST

START_TEST(a_handshake_that_stands_still_holds_nobody_up)
{
    int fds[20];

    for (unsigned i = 0; i < 20; i++) {
        fds[i] = starttls_begin(0);
        /* A record's header that promises more than comes. */
        served_send(fds[i], "\x16\x03\x01\x01\x00\x01", i % 7);
    }
    struct nbd_handle *nbd = client(0);
    NBD_OK(nbd_pread(nbd, got, PAGE, 0, 0));
    leave(nbd);
    for (unsigned i = 0; i < 20; i++)
        close(fds[i]);
    served_wait_connections(0);
}
END_TEST

/* A client's end of a pipe of bytes, and the server's: what comes in at one goes out of the other, until the
 * first closes; then the other closes with what it has just been sent unread.  A server closes on DISC, behind which
 * a client's TLS says good bye; what should not have been lost is missed in the volume. */
static void pass_on(int client_end, int server_end)
{
    static char buffer[65536];
    fd_set set;
    ssize_t n = 1;

    while (n > 0) {
        FD_ZERO(&set);
        FD_SET(server_end, &set);
        FD_SET(client_end, &set);
        int most = server_end > client_end ? server_end : client_end;
        ck_assert_int_gt(select(most + 1, &set, NULL, NULL, NULL), 0);
        if (FD_ISSET(server_end, &set)) {
            n = recv(server_end, buffer, sizeof buffer, 0);
            if (n > 0)
                (void)!send(client_end, buffer, (size_t)n, MSG_NOSIGNAL);
        }
        if (n > 0 && FD_ISSET(client_end, &set)) {
            n = recv(client_end, buffer, sizeof buffer, 0);
            if (n > 0 && !served_try_to_send(server_end, buffer, (size_t)n))
                n = 0;
        }
    }
    close(server_end);
    close(client_end);
}

#define SMALL 32u
static unsigned char large[MIB], small[SMALL][PAGE];

/* Sends a large write, small ones and a DISC, and waits for no answer. */
static void *write_and_go(void *opaque)
{
    int r;
    struct nbd_handle *nbd = client_of(*(int *)opaque, "alice", &r);

    NBD_OK(r);
    NBD_OK(nbd_aio_pwrite(nbd, large, sizeof large, 2 * MIB, NBD_NULL_COMPLETION, 0));
    for (unsigned i = 0; i < SMALL; i++)
        NBD_OK(nbd_aio_pwrite(nbd, small[i], PAGE, 4 * MIB + i * PAGE,
                              NBD_NULL_COMPLETION, 0));
    NBD_OK(nbd_aio_disconnect(nbd, 0));
    while (nbd_aio_is_processing(nbd) && nbd_poll(nbd, -1) >= 0)
        ;
    nbd_close(nbd);
    return NULL;
}

/* All of it is on its way when the client has gone. */
START_TEST(what_was_sent_before_a_disc_is_carried_out)
{
    /* Where the server is busy elsewhere it takes many until one is lost. */
    const unsigned turns = harness_is_slow() ? 20 : 100;
    uint64_t seed = 0;

    for (unsigned turn = 0; turn < turns; turn++) {
        pthread_t thread;
        int ours[2];

        for (unsigned i = 0; i < MIB / PAGE; i++)
            sample_page(SAMPLE_RANDOM, ++seed, large + i * PAGE);
        for (unsigned i = 0; i < SMALL; i++)
            sample_page(SAMPLE_RANDOM, ++seed, small[i]);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ours), 0);
        int server_end = served_connect(turn % 2);
        ck_assert_int_eq(pthread_create(&thread, NULL, write_and_go, &ours[0]), 0);
        pass_on(ours[1], server_end);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        served_wait_connections(0);
        model_write(&model, 2 * MIB, sizeof large, large);
        model_write(&model, 4 * MIB, sizeof small, small);
        model_compare_all(&model, volume);
    }
}
END_TEST

/* In a thread: in a child nothing that another thread of this process had locked would come free. */
static void *try_to_come_in(void *opaque)
{
    int r;
    struct nbd_handle *nbd = client_of(*(int *)opaque, "alice", &r);

    nbd_close(nbd);
    return NULL;
}

/* A client between whose end and the server's there is a pipe that breaks after so many bytes. */
static void break_after(size_t bytes_to_server)
{
    int ours[2];
    pthread_t thread;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ours), 0);
    int server = served_connect(1);
    ck_assert_int_eq(pthread_create(&thread, NULL, try_to_come_in, &ours[0]), 0);
    size_t passed = 0;
    while (passed < bytes_to_server) {
        char buffer[4096];
        fd_set set;

        FD_ZERO(&set);
        FD_SET(server, &set);
        FD_SET(ours[1], &set);
        ck_assert_int_gt(
            select((server > ours[1] ? server : ours[1]) + 1, &set, NULL, NULL, NULL),
            0);
        if (FD_ISSET(server, &set)) {
            ssize_t n = recv(server, buffer, sizeof buffer, 0);

            if (n <= 0)
                break;
            (void)!send(ours[1], buffer, (size_t)n, MSG_NOSIGNAL);
        }
        if (FD_ISSET(ours[1], &set)) {
            size_t room = bytes_to_server - passed;
            ssize_t n =
                recv(ours[1], buffer, room < sizeof buffer ? room : sizeof buffer, 0);

            if (n <= 0 || !served_try_to_send(server, buffer, (size_t)n))
                break;
            passed += (size_t)n;
        }
    }
    close(server);
    close(ours[1]);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

START_TEST(a_client_may_go_at_any_byte_of_the_handshake)
{
    for (size_t bytes = 1; bytes < 1000; bytes += bytes < 30 ? 1 : 37)
        break_after(bytes);
    served_wait_connections(0);
    leave(client(1));
}
END_TEST

START_TEST(a_client_that_does_not_read_holds_nobody_up_and_gets_all_later)
{
    enum { COUNT = 1000 };
    static char pages[COUNT][PAGE];
    struct nbd_handle *nbd = client(0);

    ask_for(nbd, pages, COUNT);
    struct nbd_handle *other = client(0);
    for (unsigned i = 0; i < 100; i++)
        NBD_OK(nbd_pread(other, got, PAGE, 0, 0));
    leave(other);
    expect(nbd, pages, COUNT);
    leave(nbd);
}
END_TEST

START_TEST(stopping_ends_handshakes_and_sessions)
{
    int fd = starttls_begin(0);
    struct nbd_handle *nbd = client(1);

    ck_assert(served_stop());
    ck_assert(served_is_closed(fd));
    ck_assert_int_eq(nbd_pread(nbd, got, PAGE, 0, 0), -1);
    close(fd);
    nbd_close(nbd);
    served_start_tls(volume, 1, TLS_ON, psk); /* for teardown */
}
END_TEST

START_TEST(where_it_may_be_both_kinds_of_clients_come_in)
{
    ck_assert(served_stop());
    served_start_tls(volume, 1, TLS_ON, psk);
    struct nbd_handle *nbd = client(0);
    struct nbd_handle *plain = served_client(0);

    NBD_OK(nbd_pread(nbd, got, PAGE, 0, 0));
    NBD_OK(nbd_pread(plain, data, PAGE, 0, 0));
    ck_assert_mem_eq(got, data, PAGE);
    leave(nbd);
    leave(plain);
}
END_TEST

HARNESS_MAIN_WITH("fault-zslotd-tls", setup, teardown, all_lengths_come_and_go,
                  many_requests_at_once_are_answered_all,
                  answers_of_workers_and_of_the_loop_do_not_mix,
                  a_fetch_does_not_hold_up_the_same_connection,
                  bytes_behind_starttls_end_the_connection_unanswered,
                  plain_bytes_for_a_handshake_end_the_connection,
                  a_wrong_name_or_no_tls_does_not_come_in,
                  a_handshake_that_stands_still_holds_nobody_up,
                  a_client_may_go_at_any_byte_of_the_handshake,
                  a_client_that_does_not_read_holds_nobody_up_and_gets_all_later,
                  what_was_sent_before_a_disc_is_carried_out,
                  stopping_ends_handshakes_and_sessions,
                  where_it_may_be_both_kinds_of_clients_come_in)
