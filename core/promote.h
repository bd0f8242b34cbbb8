/* promote.h - a stored page goes back to RAM
 *
 * Owns:    nothing.
 * Called:  by request threads, with a context and a fetch of the page.
 * Locks:   one slot, for the edge.
 * Never:   waits for room, or fails: the page is on the backing store all the same.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_PROMOTE_H
#define ZSLOT_PROMOTE_H

#include "fetch.h"

/* Puts what FETCH has brought into the pool, as the compressed bytes that it is, unless
 * the page has changed.  False: there is no room. */
bool promote_object(struct parts *parts, struct context *context,
                    const struct fetch *fetch);

#endif
