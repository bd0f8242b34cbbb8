/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "predecessor.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS 20

bool predecessor_wait(struct predecessor *predecessor)
{
    static const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};

    if (predecessor->waited_ms >= PREDECESSOR_MS)
        return false;
    nanosleep(&step, NULL);
    predecessor->waited_ms += STEP_MS;
    return true;
}

/* -EAGAIN is of who listens and does not accept. */
static int try_connect(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int r =
        connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;
    close(fd);
    return r == 0 || r == -EAGAIN ? -EADDRINUSE : r;
}

int predecessor_wait_socket(const struct sockaddr_un *address)
{
    struct predecessor predecessor = {0};
    int r;

    do
        r = try_connect(address);
    while (r == -EADDRINUSE && predecessor_wait(&predecessor));
    /* Whoever ends in order takes it away. */
    return r == -ECONNREFUSED || r == -ENOENT ? 0 : r;
}
