/* extents.h - which parts of a volume have content
 *
 * Owns:    nothing.
 * Called:  by request threads.
 * Locks:   none.
 * Never:   reads a page.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_EXTENTS_H
#define ZSLOT_EXTENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "parts.h"

/* Told of each extent in turn: whether it is a hole (all EMPTY, reads as zeroes).  A
 * negative return ends the walk and is what extents_walk() returns; 1 ends it with
 * success. */
typedef int extents_fn(void *opaque, uint64_t offset, uint64_t bytes, bool hole);

/* Walks the extents of BYTES at OFFSET, a page's granularity; the first begins at
 * OFFSET, and the last may reach past the range's end to the end of its page. */
int extents_walk(struct parts *parts, uint64_t offset, uint64_t bytes, extents_fn *fn,
                 void *opaque);

#endif
