/* transmit.h - requests out of a buffer, answers into another
 *
 * Owns:    nothing.
 * Called:  by connection.c, on the connection's loop.
 * Locks:   none.
 * Never:   waits: what would wait becomes a request of a worker.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_TRANSMIT_H
#define ZSLOT_TRANSMIT_H

#include "connection.h"

enum transmit_result {
    TRANSMIT_DONE,    /* one is done or handed on, there may be another */
    TRANSMIT_MORE,    /* what is there is not a whole one */
    TRANSMIT_STALLED, /* no room for its answer, or for the request itself */
    TRANSMIT_DISC,    /* the client says goodbye */
    TRANSMIT_BAD      /* this is no request, or cannot be skipped */
};

/* Takes the first request of in. */
enum transmit_result transmit_step(struct connection *connection);

/* FILLING's data is all there. */
void transmit_filled(struct connection *connection);

/* Makes the answer of a request that has come back. */
void transmit_answer(struct request *request);

#endif
