/* accept.h - takes clients and gives each to a loop
 *
 * Owns:    the events of the listening sockets, which run in the first loop.
 * Called:  start and stop by one thread.
 * Locks:   none.
 * Never:   says no by waiting: a client too many is let in and closed, so that it knows.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_ACCEPT_H
#define ZSLOT_ACCEPT_H

#include "listen.h"
#include "reactor.h"

struct acceptor {
    struct reactor *loops;
    unsigned reactor_count, connections_max;
    const struct listener *listener;
    struct event *events[LISTEN_FDS_MAX];
    _Atomic bool is_stopping;
    struct event *again; /* when there were no descriptors */
};

int accept_start(struct acceptor *acceptor, const struct listener *listener,
                 struct reactor *loops, unsigned reactor_count,
                 unsigned connections_max);

/* Before the loops are stopped. */
void accept_stop(struct acceptor *acceptor);

#endif
