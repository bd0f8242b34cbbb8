/* io-control.c - clients of the control socket that do not behave
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "harness.h"
#include "serve.h"
#include "server.h"

static struct server server;
static struct nbd_handle *nbd;
static char directory[] = "/tmp/zslot-XXXXXX";
static char path[64];

static void setup(void)
{
    char option[96];

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/c", directory);
    snprintf(option, sizeof option, "control=%s", path);
    SERVER_START(&server, "zslot", "64M", option);
    nbd = server_connect(&server); /* it serves, so the socket is there */
}

static void teardown(void)
{
    unsigned char page[PAGE];

    NBD_OK(nbd_pread(nbd, page, PAGE, 0, 0)); /* and it still does */
    nbd_close(nbd);
    server_stop(&server);
    ck_assert_int_lt(access(path, F_OK), 0);
    ck_assert_int_eq(rmdir(directory), 0);
}

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(address.sun_path, path);
    ck_assert_int_eq(connect(fd, (void *)&address, sizeof address), 0);
    return fd;
}

static void put(int fd, const void *bytes, size_t length)
{
    ck_assert_int_eq(send(fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
}

static void put_text(int fd, const char *text)
{
    put(fd, text, strlen(text));
}

/* All until the server hangs up. */
static const char *get_all(int fd)
{
    static char text[1 << 20];
    size_t n = 0;
    ssize_t got;

    while ((got = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    close(fd);
    return text;
}

static void expect(const char *request, const char *start)
{
    int fd = dial();

    put_text(fd, request);
    const char *answer = get_all(fd);
    ck_assert_msg(strncmp(answer, start, strlen(start)) == 0, "%s: %s", request,
                  answer);
}

#define ONE "GET /v1/job HTTP/1.1\r\nHost: zslot\r\n\r\n"
#define LAST "GET /v1/job HTTP/1.1\r\nHost: zslot\r\nConnection: close\r\n\r\n"

START_TEST(the_socket_is_for_its_owner)
{
    struct stat what;

    ck_assert_int_eq(stat(path, &what), 0);
    ck_assert(S_ISSOCK(what.st_mode));
    ck_assert_int_eq(what.st_mode & 0777, 0600);
}
END_TEST

START_TEST(requests_that_come_together_are_answered_in_turn)
{
    unsigned answers = 0;
    int fd = dial();

    put_text(fd, ONE ONE ONE "HEAD /v1/stats HTTP/1.1\r\n\r\n" LAST);
    for (const char *at = get_all(fd); (at = strstr(at, "HTTP/1.1 200 OK")); at++)
        answers++;
    ck_assert_uint_eq(answers, 5);
}
END_TEST

START_TEST(a_request_may_come_byte_by_byte)
{
    static const char text[] = LAST;
    int fd = dial();

    for (size_t i = 0; i + 1 < sizeof text; i++)
        put(fd, text + i, 1);
    ck_assert_ptr_nonnull(strstr(get_all(fd), "\"job\": null"));
}
END_TEST

START_TEST(who_may_not_is_told_so)
{
    expect("GET /v1/stats HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
           "HTTP/1.1 403 ");
    expect("POST /v1/compact HTTP/1.1\r\nOrigin: http://localhost\r\nConnection: "
           "close\r\n\r\n",
           "HTTP/1.1 403 ");
    expect("GET /v1/compact HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 405 ");
    expect("POST /v1/stats HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 405 ");
    expect("GET /etc/passwd HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 ");
    expect("GET /v1/stats?all=1 HTTP/1.1\r\nConnection: close\r\n\r\n",
           "HTTP/1.1 400 ");
    expect("POST /v1/set HTTP/1.1\r\nContent-Length: 5\r\n\r\na=b&c", "HTTP/1.1 413 ");
    expect("nonsense\r\n\r\n", "HTTP/1.1 501 ");
    expect(LAST, "HTTP/1.1 200 ");
}
END_TEST

START_TEST(a_request_without_an_end_is_ended)
{
    static char text[HTTP_REQUEST_MAX];
    int fd = dial();

    memset(text, 'x', sizeof text);
    memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
    put(fd, text, sizeof text);
    ck_assert_int_eq(strncmp(get_all(fd), "HTTP/1.1 431 ", 13), 0);
}
END_TEST

START_TEST(random_bytes_are_no_harm)
{
    unsigned long rounds = 5 + harness_ops(200);
    uint64_t random = 1;

    for (unsigned long i = 0; i < rounds; i++) {
        unsigned char bytes[HTTP_REQUEST_MAX];
        int fd = dial();

        for (size_t j = 0; j < sizeof bytes; j++)
            bytes[j] = (unsigned char)harness_random(&random);
        put(fd, bytes, sizeof bytes);
        if (i % 2)
            close(fd); /* without listening to the answer */
        else
            get_all(fd);
    }
    expect(LAST, "HTTP/1.1 200 ");
}
END_TEST

/* The slow ones are ended after SERVE_REQUEST_S, and then others have their turn. */
START_TEST(slow_clients_in_every_place_do_not_keep_others_out_for_ever)
{
    int slow[SERVE_CONNECTIONS_MAX];

    for (unsigned i = 0; i < SERVE_CONNECTIONS_MAX; i++) {
        slow[i] = dial();
        put_text(slow[i], i % 2 ? "GET /v1/st" : ONE);
    }
    expect(LAST, "HTTP/1.1 200 "); /* waits until it is accepted */
    for (unsigned i = 0; i < SERVE_CONNECTIONS_MAX; i++) {
        const char *answer = get_all(slow[i]);

        ck_assert_int_eq(*answer == '\0', i % 2);
    }
}
END_TEST

START_TEST(who_does_not_read_his_answers_stops_nobody)
{
    static const char one[] = "GET /metrics HTTP/1.1\r\nHost: zslot\r\n\r\n";
    static char many[HTTP_REQUEST_MAX];
    int fd = dial();
    size_t n = 0;

    for (; n + sizeof one <= sizeof many; n += sizeof one - 1)
        memcpy(many + n, one, sizeof one - 1);
    /* As many as the sockets take: then the server waits for him. */
    while (send(fd, many, n, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
        struct pollfd room = {.fd = fd, .events = POLLOUT};

        poll(&room, 1, 10);
        expect(LAST, "HTTP/1.1 200 ");
    }
    expect(LAST, "HTTP/1.1 200 ");
    close(fd);
}
END_TEST

HARNESS_MAIN_WITH("io-control", setup, teardown, the_socket_is_for_its_owner,
                  requests_that_come_together_are_answered_in_turn,
                  a_request_may_come_byte_by_byte, who_may_not_is_told_so,
                  a_request_without_an_end_is_ended, random_bytes_are_no_harm,
                  slow_clients_in_every_place_do_not_keep_others_out_for_ever,
                  who_does_not_read_his_answers_stops_nobody)
