/* link.h - a connection to a server, up to where the kernel goes on with it
 *
 * Owns:    nothing; the socket is the caller's.
 * Called:  at the start, and whenever the kernel has lost a connection, by one thread.
 * Locks:   nothing.
 * Never:   allocates, but for what GnuTLS does in a TLS handshake, for which reserve.h has memory.
 *
 *   dial.h      connects a socket
 *   handshake   agrees on TLS (tls.h), and on the export
 *   ktls.h      gives the keys to the kernel
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
    struct tls *tls; /* NULL: in the clear */
};

/* A socket on which requests can be sent, or -1. */
int link_open(const struct link_target *target, struct export_info *info,
              struct why *why);

#endif
