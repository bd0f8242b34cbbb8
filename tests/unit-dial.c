/* unit-dial.c - client/dial.h: the forms of an address, and servers that are there or not
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "client/dial.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "harness.h"

static struct server server;
static struct why why;
static char directory[32];
static char path[64]; /* of a socket in it */

static void setup(void)
{
    memset(&server, 0, sizeof server);
    memset(&why, 0, sizeof why);
    strcpy(directory, "/tmp/zslot-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/socket", directory);
}

static void teardown(void)
{
    unlink(path);
    rmdir(directory);
}

static void is_v4(const char *target, const char *address, unsigned port)
{
    const struct sockaddr_in *in = (struct sockaddr_in *)&server.addresses[0].socket;
    char text[INET_ADDRSTRLEN];

    ck_assert_msg(dial_lookup(&server, target, &why) == 0, "%s", why.sentence);
    ck_assert_uint_ge(server.count, 1);
    ck_assert_int_eq(in->sin_family, AF_INET);
    ck_assert_str_eq(inet_ntop(AF_INET, &in->sin_addr, text, sizeof text), address);
    ck_assert_uint_eq(ntohs(in->sin_port), port);
}

static void is_v6(const char *target, const char *address, unsigned port)
{
    const struct sockaddr_in6 *in = (struct sockaddr_in6 *)&server.addresses[0].socket;
    char text[INET6_ADDRSTRLEN];

    ck_assert_msg(dial_lookup(&server, target, &why) == 0, "%s", why.sentence);
    ck_assert_int_eq(in->sin6_family, AF_INET6);
    ck_assert_str_eq(inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text), address);
    ck_assert_uint_eq(ntohs(in->sin6_port), port);
}

START_TEST(port_may_be_left_out)
{
    is_v4("192.0.2.1", "192.0.2.1", 10809);
    is_v4("192.0.2.1:10810", "192.0.2.1", 10810);
    is_v6("2001:db8::1", "2001:db8::1", 10809);
    is_v6("[2001:db8::1]", "2001:db8::1", 10809);
    is_v6("[2001:db8::1]:10810", "2001:db8::1", 10810);
}
END_TEST

static void is_host(const char *target, const char *expected)
{
    char host[DIAL_HOST_MAX] = "before";

    dial_host(target, host);
    ck_assert_str_eq(host, expected);
}

START_TEST(host_is_told_without_its_port)
{
    is_host("192.0.2.1", "192.0.2.1");
    is_host("swap.example.com:10810", "swap.example.com");
    is_host("2001:db8::1", "2001:db8::1");
    is_host("[2001:db8::1]:10810", "2001:db8::1");
    is_host("/run/socket", "");
}
END_TEST

START_TEST(what_is_no_address_is_refused)
{
    static const char *const wrong[] = {"",
                                        ":10809",
                                        "192.0.2.1:",
                                        "[2001:db8::1",
                                        "[]:1",
                                        "[2001:db8::1]10809",
                                        "192.0.2.1:nothing"};

    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        why.sentence[0] = '\0';
        ck_assert_msg(dial_lookup(&server, wrong[i], &why) == -1, "%s", wrong[i]);
        ck_assert_msg(why.sentence[0] != '\0', "%s", wrong[i]);
    }
}
END_TEST

START_TEST(long_paths_are_refused)
{
    char longer[200];

    memset(longer, '/', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    ck_assert_int_eq(dial_lookup(&server, longer, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.sentence, "at most"));
}
END_TEST

/* listen_at_path: a Unix socket that takes connections; the descriptor */
static int listen_at_path(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    return fd;
}

START_TEST(relative_paths_begin_here_for_ever)
{
    ck_assert_int_eq(chdir("/tmp"), 0);
    ck_assert_int_eq(dial_lookup(&server, "./some/socket", &why), 0);
    ck_assert_str_eq(((struct sockaddr_un *)&server.addresses[0].socket)->sun_path,
                     "/tmp/./some/socket");
}
END_TEST

START_TEST(server_is_there_or_not)
{
    ck_assert_int_eq(dial_lookup(&server, path, &why), 0);
    ck_assert_int_eq(dial(&server, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.sentence, "cannot connect"));

    const int listening = listen_at_path();
    const int fd = dial(&server, &why);
    ck_assert_int_ge(fd, 0);
    close(fd);
    close(listening);
    ck_assert_int_eq(dial(&server, &why), -1);
}
END_TEST

static long timeout_s(int fd, int which)
{
    struct timeval timeout;
    socklen_t length = sizeof timeout;

    ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, which, &timeout, &length), 0);
    return timeout.tv_sec;
}

/* The kernel would take a timeout for a dead connection. */
START_TEST(timeouts_are_for_the_negotiation_only)
{
    const int listening = listen_at_path();
    ck_assert_int_eq(dial_lookup(&server, path, &why), 0);
    const int fd = dial(&server, &why);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(timeout_s(fd, SO_RCVTIMEO), DIAL_TIMEOUT_S);
    ck_assert_int_eq(timeout_s(fd, SO_SNDTIMEO), DIAL_TIMEOUT_S);
    dial_done(fd);
    ck_assert_int_eq(timeout_s(fd, SO_RCVTIMEO), 0);
    ck_assert_int_eq(timeout_s(fd, SO_SNDTIMEO), 0);
    close(fd);
    close(listening);
}
END_TEST

/* listen_at_port: the same by TCP; sets "server" to it */
static int listen_at_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof in;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    char target[32];

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &length), 0);
    snprintf(target, sizeof target, "127.0.0.1:%u", ntohs(in.sin_port));
    ck_assert_int_eq(dial_lookup(&server, target, &why), 0);
    return fd;
}

/* A queue that outlives the request's timeout is sent over what was written anew. */
START_TEST(connection_is_dead_before_its_requests_time_out)
{
    static const struct {
        uint64_t timeout_s;
        unsigned unheard_ms;
    } cases[] = {{1, 666}, {30, 20000}, {45, 30000}, {3600, 30000}, {0, 30000}};
    const int listening = listen_at_port();

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned unheard_ms;
        socklen_t length = sizeof unheard_ms;

        server.request_timeout_s = cases[i].timeout_s;
        const int fd = dial(&server, &why);
        ck_assert_msg(fd >= 0, "%s", why.sentence);
        dial_done(fd);
        ck_assert_int_eq(
            getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unheard_ms, &length), 0);
        ck_assert_uint_eq(unheard_ms, cases[i].unheard_ms);
        close(fd);
        close(accept(listening, NULL, NULL));
    }
    close(listening);
}
END_TEST

HARNESS_MAIN_WITH("unit-dial", setup, teardown, port_may_be_left_out,
                  host_is_told_without_its_port, what_is_no_address_is_refused,
                  long_paths_are_refused, relative_paths_begin_here_for_ever,
                  server_is_there_or_not, timeouts_are_for_the_negotiation_only,
                  connection_is_dead_before_its_requests_time_out)
