/* link.c - a connection to a server, up to where the kernel goes on with it
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "link.h"
#include "tls.h"

#include <unistd.h>

static int open_once(const struct link_target *target, struct export_info *info,
                     struct why *why)
{
    struct stream stream;
    const int fd = dial(&target->server, why);

    if (fd < 0)
        return -1;
    stream_open(&stream, fd, HANDSHAKE_S);
    int result = handshake(&stream, target->tls, target->export_name, info, why);
    if (result == 0)
        result = stream_give_to_kernel(&stream, why);
    stream_close(&stream);
    if (result) {
        close(fd);
        return -1;
    }
    dial_done(fd);
    return fd;
}

int link_open(const struct link_target *target, struct export_info *info,
              struct why *why)
{
    int fd;

    do
        fd = open_once(target, info, why);
    while (fd < 0 && target->tls && tls_has_another_version(target->tls));
    return fd;
}
