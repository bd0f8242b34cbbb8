/* nbd-probe.h - whether an NBD server can be the backing store, found out before a fork
 *
 * Owns:    a connection of its own, which is closed before it returns.
 * Called:  by one thread, at open.
 * Locks:   none.
 * Never:   writes to the server.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_NBD_PROBE_H
#define ZSLOT_NBD_PROBE_H

#include "nbd-link.h"
#include "reason.h"

struct probe {
    struct link_export export;
    unsigned char start[BACKING_ALIGN]; /* what the export begins with */
};

/* Connects to URI and looks at it; TERMS as for backing_nbd_open().  A negative errno, and a sentence, unless it will do. */
int probe_server(const char *uri, const struct backing_terms *terms,
                 struct probe *probe, struct reason *reason);

#endif
