/* ahead.h - fetches that a request for several pages begins before it waits for one
 *
 * Owns:    the fetches that are begun and not yet taken.
 * Called:  by the request's thread, with no context and no lock.
 * Locks:   none of its own.
 * Never:   waits, or looks at a page before the request has come to a stored one: a
 *          request for pages in RAM costs the same with a backing store as without.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_AHEAD_H
#define ZSLOT_AHEAD_H

#include <stdbool.h>

#include "fetch.h"

/* So many at a time: a device is busy with these. */
#define AHEAD_MAX 16u

struct ahead {
    struct parts *parts;
    slot_t next, end; /* not looked at yet */
    unsigned first, count;
    struct {
        slot_t slot;
        struct fetch *fetch;
        bool warm;
    } ring[AHEAD_MAX];
};

/* For a request that ends before slot END. */
void ahead_open(struct ahead *ahead, struct parts *parts, slot_t end);

/* Begins what there is room for, from SLOT on, where the request is now.  True: *FETCH
 * was begun for it, and is the caller's to wait for.  Slots must come in order. */
bool ahead_take(struct ahead *ahead, slot_t slot, struct fetch **fetch, bool *warm);

/* Lets go of what was not taken. */
void ahead_close(struct ahead *ahead);

#endif
