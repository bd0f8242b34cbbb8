/* link.c - a connection to a server, up to where the kernel goes on with it
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "link.h"

#include <unistd.h>

int link_open(const struct link_target *target, struct export_info *info,
              struct why *why)
{
    struct stream stream;
    const int fd = dial(&target->server, why);

    if (fd < 0)
        return -1;
    stream_open(&stream, fd, HANDSHAKE_S);
    if (handshake(&stream, target->export_name, info, why)) {
        close(fd);
        return -1;
    }
    dial_done(fd);
    return fd;
}
