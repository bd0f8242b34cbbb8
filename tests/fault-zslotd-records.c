/* fault-zslotd-records.c - clients that use TLS's records as they may, and nobody does
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <gnutls/gnutls.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "sample.h"
#include "served.h"
#include "server.h"
#include "starttls.h"

#define BYTES (32u * MIB)

static struct volume *volume;
static char psk[STARTTLS_PATH_BYTES];
static uint8_t pages[4 * MIB];

static void set_up(void)
{
    volume = harness_open("size", "32M", "compressor", "lz4", NULL);
    sample_fill(SAMPLE_RANDOM, 3, sizeof pages, pages);
    ck_assert_int_eq(volume_write(volume, 0, sizeof pages, pages), 0);
    starttls_make_keys(psk);
    served_start_tls(volume, 1, TLS_REQUIRE, psk);
}

static void tear_down(void)
{
    ck_assert(served_stop());
    unlink(psk);
    harness_close(volume);
}

/* -- A client. -- */

struct client {
    int fd;
    gnutls_session_t session;
    gnutls_psk_client_credentials_t credentials;
};

static void send_all(const struct client *client, const void *data, size_t bytes)
{
    for (size_t sent = 0; sent < bytes;) {
        ssize_t n = gnutls_record_send(client->session, (const char *)data + sent,
                                       bytes - sent);

        ck_assert_int_gt(n, 0);
        sent += (size_t)n;
    }
}

static void receive_all(const struct client *client, void *out, size_t bytes)
{
    for (size_t got = 0; got < bytes;) {
        ssize_t n = gnutls_record_recv(client->session, (char *)out + got, bytes - got);

        /* New keys or a ticket have come, and no data. */
        if (n == GNUTLS_E_AGAIN)
            continue;
        MUST(n > 0, "%s", n < 0 ? gnutls_strerror((int)n) : "the server has closed");
        got += (size_t)n;
    }
}

static void send_request(const struct client *client, uint16_t type, uint64_t cookie,
                         uint64_t offset, uint32_t bytes)
{
    uint8_t request[NBD_REQUEST_BYTES];

    send_all(client, request,
             served_make_request(request, type, cookie, offset, bytes));
}

static void enter(struct client *client)
{
    static const gnutls_datum_t key = {(unsigned char *)STARTTLS_KEY,
                                       sizeof STARTTLS_KEY - 1};
    uint8_t option[64], answer[10];

    client->fd = starttls_begin(0);
    ck_assert_int_eq(gnutls_init(&client->session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL),
                     0);
    ck_assert_int_eq(gnutls_psk_allocate_client_credentials(&client->credentials), 0);
    ck_assert_int_eq(gnutls_psk_set_client_credentials(
                         client->credentials, STARTTLS_USER, &key, GNUTLS_PSK_KEY_HEX),
                     0);
    ck_assert_int_eq(
        gnutls_credentials_set(client->session, GNUTLS_CRD_PSK, client->credentials),
        0);
    ck_assert_int_eq(gnutls_priority_set_direct(
                         client->session, "NORMAL:+ECDHE-PSK:+DHE-PSK:+PSK", NULL),
                     0);
    gnutls_transport_set_int(client->session, client->fd);
    ck_assert_int_eq(gnutls_handshake(client->session), 0);
    ck_assert_int_eq(gnutls_protocol_get_version(client->session), GNUTLS_TLS1_3);
    send_all(client, option, starttls_put_option(option, NBD_OPT_EXPORT_NAME));
    receive_all(client, answer, sizeof answer);
    ck_assert_uint_eq(nbd_get64(answer), BYTES);
}

static void close_now(struct client *client)
{
    gnutls_deinit(client->session);
    gnutls_psk_free_client_credentials(client->credentials);
    close(client->fd);
}

static void leave(struct client *client)
{
    send_request(client, NBD_CMD_DISC, 0, 0, 0);
    close_now(client);
}

/* -- New keys. -- */

/* Until the server has sent as much as the socket takes. */
static void wait_until_full(const struct client *client)
{
    int there = 0, before;

    do {
        before = there;
        usleep(50000);
        ck_assert_int_eq(ioctl(client->fd, FIONREAD, &there), 0);
    } while (there == 0 || there != before);
}

static void expect_read(const struct client *client, uint64_t cookie, uint64_t offset,
                        size_t bytes)
{
    uint8_t head[16];
    uint8_t *got = malloc(bytes);

    ck_assert_ptr_nonnull(got);
    receive_all(client, head, sizeof head);
    ck_assert_uint_eq(nbd_get32(head), 0x67446698);
    ck_assert_uint_eq(nbd_get32(head + 4), 0);
    ck_assert_uint_eq(nbd_get64(head + 8), cookie);
    receive_all(client, got, bytes);
    ck_assert_mem_eq(got, pages + offset, bytes);
    free(got);
}

START_TEST(new_keys_that_are_asked_for_while_an_answer_is_half_sent_are_made)
{
    struct client client;

    enter(&client);
    for (unsigned turn = 0; turn < 3; turn++) {
        send_request(&client, NBD_CMD_READ, 1, 0, MIB);
        wait_until_full(&client);
        ck_assert_int_eq(gnutls_session_key_update(client.session, GNUTLS_KU_PEER), 0);
        send_request(&client, NBD_CMD_READ, 2, MIB, MIB);
        usleep(50000);
        expect_read(&client, 1, 0, MIB);
        expect_read(&client, 2, MIB, MIB);
    }
    leave(&client);
}
END_TEST

/* -- One byte in each. -- */

#define RECORDS 400000u

/* Made beforehand, since to make them takes longer than to receive them. */
struct flood {
    const struct client *client;
    uint8_t *bytes;
    size_t count, room;
    _Atomic bool is_taken;
};

static ssize_t keep(gnutls_transport_ptr_t opaque, const void *bytes, size_t count)
{
    struct flood *flood = opaque;

    ck_assert_uint_le(flood->count + count, flood->room);
    memcpy(flood->bytes + flood->count, bytes, count);
    flood->count += count;
    return (ssize_t)count;
}

static void flood_make(struct flood *flood, const struct client *client)
{
    *flood = (struct flood){.client = client, .room = 64u * RECORDS};
    flood->bytes = malloc(flood->room);
    ck_assert_ptr_nonnull(flood->bytes);
    gnutls_transport_set_ptr(client->session, flood);
    gnutls_transport_set_push_function(client->session, keep);
    for (unsigned i = 0; i < RECORDS; i++)
        ck_assert_int_eq(gnutls_record_send(client->session, "", 1), 1);
}

static void *flood_send(void *opaque)
{
    struct flood *flood = opaque;

    (void)served_try_to_send(flood->client->fd, flood->bytes, flood->count);
    atomic_store(&flood->is_taken, true);
    return NULL;
}

static void wait_until_begun(const struct flood *flood)
{
    int there = 0;

    while (there == 0 && !atomic_load(&flood->is_taken))
        ck_assert_int_eq(ioctl(flood->client->fd, SIOCOUTQ, &there), 0);
}

/* The data of the longest write there is, which has room for as much as comes. */
START_TEST(records_of_one_byte_do_not_keep_the_loop_from_others)
{
    struct client client, other;
    struct flood flood;
    pthread_t thread;

    enter(&client);
    enter(&other);
    send_request(&client, NBD_CMD_WRITE, 1, 0, BYTES);
    flood_make(&flood, &client);
    ck_assert_int_eq(pthread_create(&thread, NULL, flood_send, &flood), 0);
    wait_until_begun(&flood);
    send_request(&other, NBD_CMD_READ, 5, 0, PAGE);
    expect_read(&other, 5, 0, PAGE);
    ck_assert(!atomic_load(&flood.is_taken));
    leave(&other);
    shutdown(client.fd, SHUT_RDWR);
    pthread_join(thread, NULL);
    close_now(&client);
    free(flood.bytes);
}
END_TEST

HARNESS_MAIN_WITH("fault-zslotd-records", set_up, tear_down,
                  new_keys_that_are_asked_for_while_an_answer_is_half_sent_are_made,
                  records_of_one_byte_do_not_keep_the_loop_from_others)
