/* space.h - which segments of the backing store are in use, and how much of each is
 * live
 *
 * Owns:    the account of the backing store's space.
 * Called:  release, pin and unpin by any thread; the rest by the writeback thread.
 * Locks:   LOCK_RANK_SPACE, for the lists; none for live bytes and pins.
 * Never:   does I/O, or knows what the live bytes are.
 *
 *   FREE     --space_take()-->          FILLING
 *   FILLING  --space_landed()-->        USED
 *   USED     --last byte released-->    EMPTY, which is discarded
 *   FILLING EMPTY --space_put_back()--> FREE
 *
 * Live bytes are those of objects that slots refer to, or are about to: space_landed()
 * counts all of a segment's before the first slot is switched, and who finds that a
 * slot has moved on releases what was for it.  So they cannot run below zero.
 *
 * A pin keeps a segment from EMPTY while it is read (rule S6).  It is put on while a
 * slot that refers to the segment is locked, and so before the segment can become
 * EMPTY.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SPACE_H
#define ZSLOT_SPACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lock.h"
#include "region.h"

typedef struct {
    uint64_t value; /* byte offset of the object's header in the backing store */
} address_t;

#define SEGMENT_NONE UINT32_MAX

struct space {
    struct region infos; /* a struct segment_info per segment */
    uint32_t segments;   /* how many can be used, and numbers from 1 to that */

    struct lock lock;
    uint32_t free_head, empty_head; /* by next; guarded by lock */
    uint32_t high;                  /* the highest ever taken; guarded by lock */
    _Atomic uint32_t used;          /* segments not FREE */
    _Atomic uint64_t live_bytes;
};

/* For a backing store of BACKING_BYTES.  MEMORY is borrowed.  -ENOMEM. */
int space_open(struct space *space, uint64_t backing_bytes, struct memory *memory,
               bool lock_in_ram);
int space_start(struct space *space); /* -ENOSPC, -ENOMEM */
void space_close(struct space *space);

/* The RAM that the account of so large a backing store takes at most. */
uint64_t space_fixed_bytes(uint64_t backing_bytes);

/* A FREE segment to fill.  -ENOSPC: none. */
int space_take(struct space *space, uint32_t *segment);

/* All objects of the segment, LIVE_BYTES by segment_object_bytes(), can be referred to now.
 * It could hold ROOM bytes of such objects. */
void space_landed(struct space *space, uint32_t segment, uint32_t live_bytes,
                  uint32_t room);

/* One object of LENGTH at ADDRESS is referred to no more. */
void space_release(struct space *space, address_t address, uint32_t length);

/* Around a read of what is at ADDRESS.  The pin goes on under the lock of its slot. */
void space_pin(struct space *space, address_t address);
void space_unpin(struct space *space, address_t address);

/* Pins a segment without knowing of a slot in it.  False: it is not USED. */
bool space_try_pin_segment(struct space *space, uint32_t segment);

/* Takes a segment off the list of EMPTY ones, to discard and put back.  False: there is
 * none. */
bool space_next_empty(struct space *space, uint32_t *segment);

/* A FILLING or EMPTY segment becomes FREE. */
void space_put_back(struct space *space, uint32_t segment);

/* How many segments space_take() would find. */
uint32_t space_free_segments(struct space *space);

/* Live bytes of a USED segment that cleaning was not tried on, 0 for others; *ROOM: what the
 * segment could hold, in bytes, which is less than SEGMENT_BYTES for many small objects. */
uint32_t space_cleanable_bytes(struct space *space, uint32_t segment, uint32_t *room);

/* Cleaning was tried: what is still live in the segment then is damaged or on its way, and
 * stays until nothing refers to it. */
void space_set_tried(struct space *space, uint32_t segment, bool tried);

#endif
