/* predecessor.h - waits for a server that is being killed
 *
 * Owns:    nothing but how long it has waited.
 * Called:  by who starts, before anything is served.
 * Locks:   none.
 * Never:   waits for one that lives on: two seconds, and it is refused.
 *
 * What a process had, locks and sockets, is let go a moment after it was killed; later, the more memory
 * it had.  Who starts the next one at once has done nothing wrong.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_PREDECESSOR_H
#define ZSLOT_PREDECESSOR_H

#include <stdbool.h>

struct sockaddr_un;

#define PREDECESSOR_MS 2000

struct predecessor {
    unsigned waited_ms;
};

/* Waits a little.  False: it has been long enough. */
bool predecessor_wait(struct predecessor *predecessor);

/* 0: nobody listens on the socket at ADDRESS, or does not any more; -EADDRINUSE: somebody does; or another
 * negative errno: it cannot be told. */
int predecessor_wait_socket(const struct sockaddr_un *address);

#endif
