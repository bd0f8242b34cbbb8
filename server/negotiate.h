/* negotiate.h - from the first byte of a connection to its first request
 *
 * Owns:    what one client has negotiated so far.
 * Called:  by the connection's loop, with what it has received.
 * Locks:   none.
 * Never:   touches a socket, allocates, or keeps a pointer into what it was given.
 *
 *   FLAGS    --the client's flags-->         OPTIONS    or CLOSE
 *   OPTIONS  --GO, EXPORT_NAME-->            DONE       EXPORT_NAME of nothing: CLOSE
 *   OPTIONS  --ABORT, too many-->            CLOSE
 *   OPTIONS  --an option that is too big-->  SKIP       far too big: CLOSE
 *   SKIP     --all of it has passed-->       OPTIONS
 *   OPTIONS  --STARTTLS-->                   STARTTLS
 *   STARTTLS --negotiate_encrypted()-->      OPTIONS, with nothing chosen yet
 *
 * Every length is compared with what there is before it is used.  A client has so many options; what
 * a client may ask for with one is answered in NEGOTIATE_OUT_BYTES.
 *
 * TLS. Who is in between can put options before STARTTLS, so nothing that was said before counts after it; and
 * bytes behind it, so whoever calls throws away the connection if there are any.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_NEGOTIATE_H
#define ZSLOT_NEGOTIATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "tls.h"

/* What the answers to one step need at most: with as many exports as there can be. */
#define NEGOTIATE_OUT_BYTES 65536u

#define NEGOTIATE_OPTION_BYTES_MAX 32768u       /* data of an option that we look at */
#define NEGOTIATE_SKIP_BYTES_MAX (1024u * 1024) /* and that we let pass */
#define NEGOTIATE_OPTIONS_MAX 256u

enum negotiate_state {
    NEGOTIATE_FLAGS,
    NEGOTIATE_OPTIONS,
    NEGOTIATE_SKIP,
    NEGOTIATE_STARTTLS,
    NEGOTIATE_DONE,
    NEGOTIATE_CLOSE
};

struct negotiation {
    const struct export_table *exports;
    enum tls_mode tls;
    bool is_encrypted;
    enum negotiate_state state;
    bool no_zeroes;
    bool structured;
    /* Which export base:allocation was chosen for; it is void if another one is opened. */
    const struct export *with_allocation;
    unsigned options;
    uint32_t skip_bytes;
    const struct export *export; /* when DONE */
};

void negotiate_begin(struct negotiation *negotiation,
                     const struct export_table *exports, enum tls_mode tls);

/* What the server says first; returns how many bytes. */
size_t negotiate_greet(uint8_t *out);

/* Takes at most one thing from IN, of which *USED bytes then are done with, and makes *MADE bytes
 * at OUT, where there is room for NEGOTIATE_OUT_BYTES.  *USED is 0 when more is needed. After STARTTLS, DONE
 * and CLOSE there is no next step; what was made still is to be sent. */
enum negotiate_state negotiate_step(struct negotiation *negotiation, const uint8_t *in,
                                    size_t in_bytes, size_t *used, uint8_t *out,
                                    size_t *made);

/* The handshake of TLS after STARTTLS is done. */
void negotiate_encrypted(struct negotiation *negotiation);

/* Whether block status can be asked for. */
bool negotiate_has_allocation(const struct negotiation *negotiation);

#endif
