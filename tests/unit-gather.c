/* unit-gather.c - what the kernel takes for a message on a Unix socket
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gather.h"
#include "harness.h"

#define MOST 100000u

static uint8_t data[MOST];

/* Sent in one piece, and received after that. */
static int taken_by_kernel(const int ends[2], uint32_t bytes)
{
    int taken;

    ck_assert_int_eq(send(ends[0], data, bytes, 0), (ssize_t)bytes);
    ck_assert_int_eq(ioctl(ends[0], SIOCOUTQ, &taken), 0);
    for (uint32_t got = 0; got < bytes;) {
        ssize_t more = recv(ends[1], data, sizeof data, 0);

        ck_assert_int_gt(more, 0);
        got += (uint32_t)more;
    }
    return taken;
}

/* To a quarter, since kernels differ in the smallest. */
START_TEST(what_the_kernel_takes_is_known_for_messages_of_all_lengths)
{
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    for (uint32_t bytes = 1; bytes <= MOST; bytes += bytes < 9000 ? 1 : 97) {
        uint64_t taken = (uint64_t)taken_by_kernel(ends, bytes);

        ck_assert_uint_le(gather_room(bytes) * 3, taken * 4);
        ck_assert_uint_ge(gather_room(bytes) * 4, taken * 3);
    }
    close(ends[0]);
    close(ends[1]);
}
END_TEST

HARNESS_MAIN("unit-gather", what_the_kernel_takes_is_known_for_messages_of_all_lengths)
