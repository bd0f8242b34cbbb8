/* input.h - what a client sends, from its socket into its connection
 *
 * Owns:    nothing; in and the data of requests are the connection's.
 * Called:  by the connection's loop.
 * Locks:   none.
 * Never:   waits for the client, or receives what there is no room for.
 *
 * Looking first. What is received from a Unix socket makes room for who sends, and so the kernel wakes whoever sleeps at
 * the other end, also in a receive: a client that waits for its answer wakes, finds none, and sleeps
 * again (unix_write_space in Linux' net/unix/af_unix.c).  Of a client whose last requests each came alone the next one
 * is therefore looked at (MSG_PEEK), executed and answered, and taken out of the socket when the client
 * is awake with its answer.  With blocking clients, as the kernel's is, a 4 KiB read or write takes 2 to 5 us less of
 * the 25 it takes (bench-load, depth 1); one that sleeps in poll(2) is not woken by room.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_INPUT_H
#define ZSLOT_INPUT_H

#include <stdbool.h>

#include "request.h"

/* With several under way now and then one comes alone; a look then is one more call to the system, for nothing: of
 * 16 writes with lz4 there were 1 to 3 % fewer a second. */
#define INPUT_ALONE_ENOUGH 8u

enum input_result {
    INPUT_NONE, /* nothing has come */
    INPUT_SOME, /* all that had come */
    INPUT_MORE, /* as much as there was room for */
    INPUT_END   /* the client has closed, or the connection is broken */
};

/* Into the data of a write that is filling, or to the end of in.  IS_TOLD: by an event, that there is something. */
enum input_result input_receive(struct connection *connection, bool is_told);

/* What was looked at only is to be taken away when it has been answered. */
void input_take_away(struct connection *connection);

/* Of a client with TLS that has closed: receives the rest of what it has sent, as far as there is room,
 * without executing any of it; whoever is stalled then goes on with it. */
void input_take_rest(struct connection *connection);

static inline bool input_is_filled(const struct request *request)
{
    return request->filled_bytes == request->nbd.bytes;
}

#endif
