/* port.h - the TCP port of the control endpoint
 *
 * Owns:    nothing; who asks gets the socket.
 * Called:  by one thread, before serving.
 * Locks:   none.
 * Never:   listens where another machine could reach it.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_PORT_H
#define ZSLOT_PORT_H

#include "reason.h"

/* Listens on 127.0.0.1.  A socket, or a negative errno and a sentence. */
int port_open(unsigned port, struct reason *reason);

#endif
