/* unit-predecessor.c - sockets of servers that end, have ended, or live on
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "predecessor.h"

static char directory[64];
static struct sockaddr_un address;
static int listener;

static void set_up(void)
{
    strcpy(directory, "/tmp/zslot-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", directory);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (void *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
}

static void tear_down(void)
{
    close(listener);
    unlink(address.sun_path);
    ck_assert_int_eq(rmdir(directory), 0);
}

START_TEST(socket_of_a_server_that_lives_on_is_in_use)
{
    ck_assert_int_eq(predecessor_wait_socket(&address), -EADDRINUSE);
}
END_TEST

START_TEST(socket_that_a_server_has_left_is_nobody_s)
{
    close(listener);
    ck_assert_int_eq(predecessor_wait_socket(&address), 0);
    ck_assert_int_eq(access(address.sun_path, F_OK), 0);
}
END_TEST

static void take_away(void *opaque)
{
    static const struct timespec moment = {.tv_nsec = 100000000};

    (void)opaque;
    nanosleep(&moment, NULL);
    unlink(address.sun_path);
}

/* It still listens, and nobody can find it. */
START_TEST(socket_that_its_server_takes_away_while_another_waits_is_nobody_s)
{
    struct actor *server = actor_start(take_away, NULL);

    ck_assert_int_eq(predecessor_wait_socket(&address), 0);
    actor_go(server);
}
END_TEST

HARNESS_MAIN_WITH("unit-predecessor", set_up, tear_down,
                  socket_of_a_server_that_lives_on_is_in_use,
                  socket_that_a_server_has_left_is_nobody_s,
                  socket_that_its_server_takes_away_while_another_waits_is_nobody_s)
