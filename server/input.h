/* input.h - what a client sends, from its socket into its connection
 *
 * Owns:    nothing; in and the data of requests are the connection's.
 * Called:  by the connection's loop.
 * Locks:   none.
 * Never:   waits for the client, or receives what there is no room for.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_INPUT_H
#define ZSLOT_INPUT_H

#include <stdbool.h>

#include "request.h"

enum input_result {
    INPUT_NONE, /* nothing has come */
    INPUT_SOME, /* all that had come */
    INPUT_MORE, /* as much as there was room for */
    INPUT_END   /* the client has closed, or the connection is broken */
};

/* Into the data of a write that is filling, or to the end of in. */
enum input_result input_receive(struct connection *connection);

/* Of a client with TLS that has closed: receives the rest of what it has sent, as far as there is room,
 * without executing any of it; whoever is stalled then goes on with it. */
void input_take_rest(struct connection *connection);

static inline bool input_is_filled(const struct request *request)
{
    return request->filled_bytes == request->nbd.bytes;
}

#endif
