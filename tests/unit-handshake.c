/* unit-handshake.c - client/handshake.h: servers of all kinds, and what is no server
 *
 * The server is a script: all that it says is in the socket before the client begins.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "client/handshake.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

enum {
    FIXED = 1,
    NO_ZEROES = 2,
    ACK = 1,
    INFO = 3,
    UNSUPPORTED = 1,
    POLICY = 2,
    TLS_REQUIRED = 5,
    UNKNOWN = 6,
    SIZE = 1 << 20,
    FLAGS = 0x16d,
};

static int client, server;
static struct tls *tls;
static struct export_info info;
static struct why why;

static void setup(void)
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    client = pair[0];
    server = pair[1];
    tls = NULL;
    memset(&why, 0, sizeof why);
}

static void teardown(void)
{
    close(client);
    close(server);
}

/* -- What the server says. -- */

static void put(const void *bytes, size_t length)
{
    ck_assert_int_eq(write(server, bytes, length), length);
}

static void put_number(uint64_t number, unsigned bytes)
{
    unsigned char big_endian[8];

    for (unsigned i = 0; i < bytes; i++)
        big_endian[i] = number >> 8 * (bytes - 1 - i);
    put(big_endian, bytes);
}

static void greet(unsigned flags)
{
    put("NBDMAGICIHAVEOPT", 16);
    put_number(flags, 2);
}

static void reply_to(uint32_t option, uint32_t type, const void *payload, size_t length)
{
    put_number(0x3e889045565a9, 8);
    put_number(option, 4);
    put_number(type, 4);
    put_number(length, 4);
    put(payload, length);
}

static void reply(uint32_t type, const void *payload, size_t length)
{
    reply_to(7, type, payload, length);
}

static void reply_error(uint32_t error, const char *text)
{
    reply(1u << 31 | error, text, strlen(text));
}

static void reply_export(void)
{
    reply(INFO, "\0\0\0\0\0\0\0\x10\0\0\x01\x6d", 12);
}

/* -- What follows from it. -- */

static int run(const char *name)
{
    struct stream stream;

    shutdown(server, SHUT_WR);
    stream_open(&stream, client, HANDSHAKE_S);
    return handshake(&stream, tls, name, &info, &why);
}

static void refused(const char *word)
{
    ck_assert_int_eq(run(""), -1);
    ck_assert_msg(strstr(why.sentence, word) != NULL, "\"%s\" is not in: %s", word,
                  why.sentence);
}

/* heard: the next bytes that the server has from the client */
static void heard(const void *bytes, size_t length)
{
    char found[256];

    ck_assert_uint_le(length, sizeof found);
    ck_assert_int_eq(recv(server, found, length, MSG_WAITALL), length);
    ck_assert_mem_eq(found, bytes, length);
}

START_TEST(size_and_identity_are_told)
{
    greet(FIXED | NO_ZEROES);
    reply(INFO, "\0\x01swap", 6);
    reply(INFO, "\0\x02the swap of one", 17);
    reply(INFO, "\0\x03\0\0\0\x01\0\0\x10\0\0\x40\0\0", 14);
    reply(INFO, "\x77\x77unknown", 9);
    reply_export();
    reply(ACK, "", 0);
    ck_assert_int_eq(run("swap"), 0);
    ck_assert_uint_eq(info.size_bytes, SIZE);
    ck_assert_uint_eq(info.flags, FLAGS);
    ck_assert_uint_eq(info.minimum_block_bytes, 1);
    ck_assert_str_eq(info.name, "swap");
    ck_assert_str_eq(info.description, "the swap of one");
    heard(
        "\0\0\0\x03IHAVEOPT\0\0\0\x07\0\0\0\x10\0\0\0\x04swap\0\x03\0\x01\0\x02\0\x03",
        36);
}
END_TEST

START_TEST(long_texts_are_cut)
{
    char text[4098];

    memset(text, 'x', sizeof text);
    memcpy(text, "\0\x02", 2);
    greet(FIXED);
    reply(INFO, text, sizeof text);
    reply_export();
    reply(ACK, "", 0);
    ck_assert_int_eq(run(""), 0);
    ck_assert_uint_eq(strlen(info.description), HANDSHAKE_IDENTITY_MAX - 1);
}
END_TEST

START_TEST(servers_without_go_are_asked_by_name)
{
    static const char zeroes[124];

    greet(FIXED);
    reply_error(UNSUPPORTED, "");
    put_number(SIZE, 8);
    put_number(FLAGS, 2);
    put(zeroes, sizeof zeroes);
    ck_assert_int_eq(run("a"), 0);
    ck_assert_uint_eq(info.size_bytes, SIZE);
    ck_assert_uint_eq(info.flags, FLAGS);
}
END_TEST

START_TEST(newstyle_that_is_not_fixed_is_asked_by_name)
{
    greet(NO_ZEROES);
    put_number(SIZE, 8);
    put_number(FLAGS, 2);
    ck_assert_int_eq(run("a"), 0);
    ck_assert_uint_eq(info.size_bytes, SIZE);
    heard("\0\0\0\x02IHAVEOPT\0\0\0\x01\0\0\0\x01"
          "a",
          21);
}
END_TEST

START_TEST(refusals_are_told)
{
    greet(FIXED);
    reply_error(UNKNOWN, "no export of that name here");
    refused("no such export: no export of that name here");
}
END_TEST

START_TEST(who_wants_tls_is_told_how)
{
    greet(FIXED);
    reply_error(TLS_REQUIRED, "");
    refused("the server wants TLS: write --tls-certificates");
}
END_TEST

/* want_tls: of a server that has none nothing else is asked */
static void want_tls(void)
{
    tls = (struct tls *)&why; /* looked into by nobody */
}

START_TEST(tls_is_asked_for_before_anything_else)
{
    want_tls();
    greet(FIXED | NO_ZEROES);
    reply_to(5, 1u << 31 | UNSUPPORTED, "", 0);
    refused("the server does not do TLS");
    heard("\0\0\0\x03IHAVEOPT\0\0\0\x05\0\0\0\0", 20);
    ck_assert_int_eq(recv(server, &info, 1, MSG_DONTWAIT), -1);
}
END_TEST

START_TEST(who_is_not_let_into_tls_is_told)
{
    want_tls();
    greet(FIXED);
    reply_to(5, 1u << 31 | POLICY, "", 0);
    refused("the server does not do TLS");
}
END_TEST

START_TEST(newstyle_that_is_not_fixed_has_no_tls)
{
    want_tls();
    greet(NO_ZEROES);
    refused("the server does not do TLS");
}
END_TEST

START_TEST(an_answer_to_something_else_is_no_tls)
{
    want_tls();
    greet(FIXED);
    reply(ACK, "", 0);
    refused("protocol");
}
END_TEST

START_TEST(oldstyle_is_refused)
{
    put("NBDMAGIC", 8);
    put_number(0x00420281861253, 8);
    put_number(SIZE, 8);
    refused("old protocol");
}
END_TEST

START_TEST(other_servers_are_refused)
{
    put("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", 32);
    refused("not an NBD server");
}
END_TEST

START_TEST(server_that_closes_is_told)
{
    greet(FIXED);
    refused("closed");
}
END_TEST

START_TEST(lengths_beyond_the_protocol_are_refused)
{
    greet(FIXED);
    put_number(0x3e889045565a9, 8);
    put_number(7, 4);
    put_number(INFO, 4);
    put_number(UINT32_MAX, 4);
    refused("protocol");
}
END_TEST

START_TEST(infos_of_odd_lengths_are_not_read)
{
    greet(FIXED);
    reply(INFO, "", 0);
    reply(INFO, "\0", 1);
    reply(INFO, "\0\0\0\x10", 4);
    reply(INFO, "\0\x03\0", 3);
    reply(ACK, "", 0);
    refused("does not tell the size");
}
END_TEST

START_TEST(infos_without_an_end_are_refused)
{
    greet(FIXED);
    for (unsigned i = 0; i < 32; i++)
        reply(INFO, "\0\x09", 2);
    refused("protocol");
}
END_TEST

START_TEST(another_export_is_not_the_same)
{
    const struct export_info before = {
        .size_bytes = SIZE, .flags = FLAGS, .name = "a", .description = "b"};
    struct export_info now = before;

    ck_assert_int_eq(handshake_is_same(&before, &now, &why), 0);
    now.flags |= 1 << 6; /* it can do more */
    ck_assert_int_eq(handshake_is_same(&before, &now, &why), 0);
    for (unsigned bit = 2; bit <= 8; bit++) {
        struct export_info could = before;

        now = before;
        could.flags |= 1 << bit;
        now.flags &= ~(1 << bit);
        ck_assert_int_eq(handshake_is_same(&could, &now, &why),
                         bit == 4 || bit == 7 ? 0 : -1);
    }
    now = before;
    now.minimum_block_bytes = 8192;
    ck_assert_int_eq(handshake_is_same(&before, &now, &why), -1);
    now = before;
    now.size_bytes += 4096;
    ck_assert_int_eq(handshake_is_same(&before, &now, &why), -1);
    now = before;
    now.flags |= 2;
    ck_assert_int_eq(handshake_is_same(&before, &now, &why), -1);
    now = before;
    strcpy(now.name, "c");
    ck_assert_int_eq(handshake_is_same(&before, &now, &why), -1);
    now = before;
    now.description[0] = '\0';
    ck_assert_int_eq(handshake_is_same(&before, &now, &why), -1);
}
END_TEST

START_TEST(what_was_by_tls_does_not_go_on_in_the_clear)
{
    const struct export_info clear = {.size_bytes = SIZE, .flags = FLAGS};
    struct export_info by_tls = clear;

    by_tls.by_tls = true;
    ck_assert_int_eq(handshake_is_same(&clear, &by_tls, &why), 0);
    ck_assert_int_eq(handshake_is_same(&by_tls, &by_tls, &why), 0);
    ck_assert_int_eq(handshake_is_same(&by_tls, &clear, &why), -1);
    ck_assert(strstr(why.sentence, "--tls-certificates"));
}
END_TEST

HARNESS_MAIN_WITH("unit-handshake", setup, teardown, size_and_identity_are_told,
                  long_texts_are_cut, servers_without_go_are_asked_by_name,
                  newstyle_that_is_not_fixed_is_asked_by_name, refusals_are_told,
                  who_wants_tls_is_told_how, tls_is_asked_for_before_anything_else,
                  who_is_not_let_into_tls_is_told,
                  newstyle_that_is_not_fixed_has_no_tls,
                  an_answer_to_something_else_is_no_tls, oldstyle_is_refused,
                  other_servers_are_refused, server_that_closes_is_told,
                  lengths_beyond_the_protocol_are_refused,
                  infos_of_odd_lengths_are_not_read, infos_without_an_end_are_refused,
                  another_export_is_not_the_same,
                  what_was_by_tls_does_not_go_on_in_the_clear)
