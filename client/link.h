/* link.h - a connection to a server, up to where the kernel goes on with it
 *
 * Owns:    nothing; the socket is the caller's.
 * Called:  at the start, and whenever the kernel has lost a connection, by one thread.
 * Locks:   nothing.
 * Never:   allocates.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

#include "dial.h"
#include "handshake.h"

struct link_target {
    struct server server;
    const char *export_name;
};

/* A socket on which requests can be sent, or -1. */
int link_open(const struct link_target *target, struct export_info *info,
              struct why *why);

#endif
