/* output.h - what a connection has to send, and how it leaves
 *
 * Owns:    nothing; out and finished are the connection's.
 * Called:  by the connection's loop.
 * Locks:   none.
 * Never:   waits for the client.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_OUTPUT_H
#define ZSLOT_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

struct connection;

bool output_is_waiting(const struct connection *connection);

/* Sends what the socket takes. */
void output_flush(struct connection *connection);

/* Makes room for BYTES at the end of out, by sending if need be.  NULL: the client does not take it
 * now, or has gone. */
uint8_t *output_room(struct connection *connection, uint32_t bytes);

#endif
