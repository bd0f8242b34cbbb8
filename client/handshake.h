/* handshake.h - what is said on a connection before its socket is handed to the kernel
 *
 * Owns:    nothing: a stream is borrowed.
 * Called:  on each new connection, by one thread.
 * Locks:   nothing.
 * Never:   allocates, but for what TLS does, or asks for what Linux's client does not understand
 *          (structured replies).
 *
 * Fixed newstyle negotiation with NBD_OPT_GO, or NBD_OPT_EXPORT_NAME with servers that do not know
 * that. libnbd would do the same, but it cannot give its socket away once requests may be sent, and
 * it allocates. The protocol is doc/proto.md of https://github.com/NetworkBlockDevice/nbd.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_HANDSHAKE_H
#define CLIENT_HANDSHAKE_H

#include <stdint.h>

#include "stream.h"
#include "why.h"

enum { HANDSHAKE_NAME_MAX = 4096, HANDSHAKE_IDENTITY_MAX = 256, HANDSHAKE_S = 30 };

/* Of export_info.flags: a flush by one connection is one of all. */
enum { HANDSHAKE_MULTI_CONN = 1 << 8 };

/* What the server said of its export. The canonical name and the description are empty when it has
 * none, and cut when they are longer; both are taken for what identifies the export. */
struct export_info {
    uint64_t size_bytes;
    uint32_t minimum_block_bytes;
    uint16_t flags;
    uint8_t by_tls; /* whether it was asked for by TLS */
    char name[HANDSHAKE_IDENTITY_MAX];
    char description[HANDSHAKE_IDENTITY_MAX];
};

/* To be opened with HANDSHAKE_S. With TLS, or NULL, before anything is asked for. */
int handshake(struct stream *stream, struct tls *tls, const char *name,
              struct export_info *info, struct why *why);

/* -1, and why, if "now" cannot be what "before" was, or cannot do what that could.  Who has one
 * connection does not need HANDSHAKE_MULTI_CONN, and takes it out of "before". */
int handshake_is_same(const struct export_info *before, const struct export_info *now,
                      struct why *why);

#endif
