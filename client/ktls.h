/* ktls.h - TLS by the kernel, on a socket whose keys are known
 *
 * Owns:    nothing: the socket is borrowed, and the keys are the caller's.
 * Called:  by one thread.
 * Locks:   nothing.
 * Never:   speaks on the socket; knows nothing of handshakes.
 *
 * AES in GCM only, of either length: every server has it, and both lengths are of the same modules of the kernel, so that
 * none has to be loaded for a connection that is made again, when there may be no memory for it.
 * The interface is Documentation/networking/tls.rst of Linux.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_KTLS_H
#define CLIENT_KTLS_H

#include <stdbool.h>

#include "why.h"

enum {
    KTLS_KEY_MAX = 32,
    KTLS_SALT = 4,
    KTLS_NONCE = 8,
    KTLS_SEQUENCE = 8,
};

/* Of one direction. What a nonce is made of depends on the version: the salt and a number that is sent along (1.2), or
 * the salt, NONCE and the record's number (1.3). */
struct ktls_keys {
    unsigned char key[KTLS_KEY_MAX];
    unsigned key_bytes; /* 16 or 32 */
    unsigned char salt[KTLS_SALT];
    unsigned char nonce[KTLS_NONCE];       /* with 1.2, that of the next record */
    unsigned char sequence[KTLS_SEQUENCE]; /* the number of the next record */
    bool is_version_1_3;                   /* else 1.2 */
};

/* Whether the kernel can. */
int ktls_check(struct why *why);

/* After that the socket sends and receives what is encrypted by it.  On failure nobody can use it any more. */
int ktls_start(int socket, const struct ktls_keys *sending,
               const struct ktls_keys *receiving, struct why *why);

#endif
