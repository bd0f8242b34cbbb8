/* write.h - a page on its way in
 *
 * Owns:    nothing.
 * Called:  by request threads, with a context each.
 * Locks:   one slot at a time, by its edges; never while compressing or allocating.
 * Never:   waits for the backing store, but for room at the memory limit and for the
 *          rest of a stored page that it writes a part of; and then with no lock and no
 *          context.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_WRITE_H
#define ZSLOT_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "parts.h"
#include "patience.h"

/* What a request may do to come to its end; kept from one of its pages to the next. */
struct write_terms {
    bool may_wait;                   /* or it is -EAGAIN where it would have to */
    bool (*is_wanted)(void *opaque); /* or NULL; asked before each try */
    void *opaque;
    bool has_waited;
    struct patience patience; /* with the memory limit, of all its pages together */
};

/* A request waits so long for room, in all; clients give up after some 30 s. */
#define WRITE_ROOM_MS 10000
#define WRITE_WAITS                                                                    \
    {                                                                                  \
        .may_wait = true, .patience = {.left_ms = WRITE_ROOM_MS }                      \
    }

/* Puts BYTES at OFFSET within the page, or all of it; DATA NULL puts zeroes.  The bytes
 * at DATA may change meanwhile, then it is undefined which are kept.  At the memory
 * limit it waits, a bounded time, for pages to leave to the backing store if there is
 * one.  On failure the slot has its former content.  -ENOSPC: past the memory limit;
 * -ENOMEM: the system has no memory; -EIO: the rest of the page cannot be read;
 * -EAGAIN, -ECANCELED: by the terms; -ESHUTDOWN: the host ends (host.h). */
int write_part(struct parts *parts, slot_t slot, uint32_t offset, uint32_t bytes,
               const void *data, struct write_terms *terms);

/* Makes the page zeroes.  Cannot fail. */
void write_empty(struct parts *parts, struct context *context, slot_t slot);

#endif
