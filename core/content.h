/* content.h - what follows when a page's content takes the place of another
 *
 * Owns:    nothing.
 * Called:  after an edge of a slot, by whoever made it.
 * Locks:   none of its own; no slot is locked.
 * Never:   touches a slot.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_CONTENT_H
#define ZSLOT_CONTENT_H

#include "parts.h"

/* Frees what CONTENT refers to: an object in the pool, or space on the backing
 * store. */
void content_release(struct parts *parts, const struct slot_content *content);

/* Moves the gauges from OLD to NEW. */
void content_count(struct context *context, const struct slot_content *old,
                   const struct slot_content *new);

#endif
