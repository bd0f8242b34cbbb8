/* touch.h - whether a stored page is wanted again, or still by the same reader
 *
 * Owns:    the parts of pages that were read last.
 * Called:  by fetch.c, under its lock.
 * Locks:   none.
 * Never:   reads a clock: time is passed in.
 *
 * A page that is wanted a second time goes back to RAM.  But who reads a file in order, 1 KiB at a
 * time, wants each page four times, and all of it only once: were that to count, one scan would
 * bring a whole backing store to RAM and push out what is warm.  So a read of another part of the
 * page, a moment after the last, is of the same touch; one of a part that was read already is a
 * new one.
 *
 * What is remembered is little, by a hash of the slot: a reader in order needs one entry, and
 * what is forgotten counts as wanted again.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_TOUCH_H
#define ZSLOT_TOUCH_H

#include <stdbool.h>
#include <stdint.h>

#include "slot.h"

#define TOUCH_MS 5000
#define TOUCHES 256u /* a power of two */

struct touch {
    slot_t slot;
    uint16_t start, end; /* of the part that was read; the same: nothing */
    uint64_t at_ms;
};

struct touch_table {
    struct touch touches[TOUCHES]; /* zeroed at first */
};

/* BYTES at OFFSET of SLOT are read.  False: as one more part of a touch that goes on. */
bool touch_is_new(struct touch_table *table, slot_t slot, uint32_t offset,
                  uint32_t bytes, uint64_t now_ms);

#endif
