/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "port.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "predecessor.h"

#define BACKLOG 16

int port_open(unsigned port, struct reason *reason)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)},
    };
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return reason_say(reason, -errno, "metrics-port=%u: no socket to be had: %s",
                          port, strerror(errno));
    /* Connections of a server that has just ended do not keep its port. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct predecessor predecessor = {0};
    int err;
    do {
        if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
            listen(fd, BACKLOG) == 0)
            return fd;
        err = errno;
    } while (err == EADDRINUSE && predecessor_wait(&predecessor));
    close(fd);
    if (err == EADDRINUSE)
        return reason_say(reason, -err,
                          "metrics-port=%u: another program listens on 127.0.0.1 "
                          "there; write another port",
                          port);
    if (err == EACCES)
        return reason_say(reason, -err,
                          "metrics-port=%u: this user may not listen there; write a "
                          "port from 1024 on, for example metrics-port=9810",
                          port);
    return reason_say(reason, -err, "metrics-port=%u: cannot listen on 127.0.0.1: %s",
                      port, strerror(err));
}
