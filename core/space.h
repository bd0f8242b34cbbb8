/* space.h - which blocks of the backing store are in use, and how much of each is live
 *
 * Owns:    the account of the backing store's space.
 * Called:  release, pin and unpin by any thread; the rest by the writeback thread.
 * Locks:   LOCK_RANK_SPACE, for the maps; none for live bytes and pins.
 * Never:   does I/O, or knows what the live bytes are.
 *
 *   FREE EMPTY  --space_take()-->          FILLING
 *   FILLING     --space_landed()-->        USED
 *   USED        --last byte released-->    EMPTY
 *   EMPTY       --space_take_empty()-->    FILLING, to be discarded
 *   FILLING     --space_put_back()-->      FREE, or EMPTY if something may be in it
 *   FILLING     --space_untake()-->        what it was
 *
 * A FREE block is not even the file system's or the device's business, unless it would
 * not be discarded.  An EMPTY one can be filled again all the same: when there are no FREE ones;
 * and, where that is wanted, if some are neighbours, which saves a discard, and a file system an
 * allocation.
 *
 * Live bytes are those of objects that slots refer to, or are about to: space_landed()
 * counts all of a block's before the first slot is switched, and who finds that a slot
 * has moved on releases what was for it.  So they cannot run below zero.
 *
 * A pin keeps a block USED while it is read (rule S6).  It is put on while a slot that
 * refers to the block is locked, and so before the block can become EMPTY.
 *
 * An account of 4 bytes and two bits per block: 1/1000 of the backing store, in RAM.
 *
 * At the start blocks in which something may be, from before, are EMPTY: they are given back
 * before long.  After a restart space_adopt() is told of what slots refer to.  Where a write can outlive us (backing.h), which
 * blocks are FILLING is noted in the state, a bit per block: the next process HOLDs those,
 * and fills them only when what was under way to them cannot come any more.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SPACE_H
#define ZSLOT_SPACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "block-format.h"
#include "block-map.h"
#include "lock.h"
#include "region.h"

struct space {
    struct region region; /* a word per block, and the maps */
    /* Of a split object, on average, 0: none is, or was; of all of them that are live. */
    _Atomic uint32_t split_bytes;
    _Atomic uint64_t split_live_bytes;
    uint32_t blocks; /* how many can be used, and numbers from 1 to that */

    struct region writes; /* a bit per block that is FILLING, if it is to be noted */
    uint32_t held;

    struct lock lock;
    struct block_map free, empty; /* guarded by lock; counts are read without */
    _Atomic uint64_t live_bytes;

    /* The writeback thread's own. */
    uint64_t landed_bytes; /* that ever were */
    bool reuses;           /* rather EMPTY blocks than FREE ones */
    uint32_t reuse_from;   /* so many must be EMPTY before neighbours are looked for */
};

/* For a backing store of BACKING_BYTES.  MEMORY is borrowed.  -ENOMEM. */
int space_open(struct space *space, uint64_t backing_bytes, struct memory *memory,
               bool lock_in_ram);
int space_start(struct space *space); /* -ENOSPC, -ENOMEM */
void space_close(struct space *space);

/* The RAM that the account of so large a backing store takes. */
uint64_t space_fixed_bytes(uint64_t backing_bytes);

/* Between open and start: notes in the state what is FILLING, which takes so much RAM in
 * addition.  Errors as region_open(). */
int space_note_writes(struct space *space, struct memory *memory, bool lock_in_ram);
uint64_t space_writes_bytes(uint64_t backing_bytes);

/* -- After space_start(), before anybody else is at work. -- */

/* Something may be in the blocks from FIRST up to END: they are EMPTY. */
void space_note_content(struct space *space, uint32_t first, uint32_t end);

/* And then, after a restart: */

/* The store is one that slots may refer to; what was under way to it is HELD. */
void space_adopt_begin(struct space *space);

/* A slot refers to an object of LENGTH bytes at ADDRESS.  -EUCLEAN: that cannot be. */
int space_adopt(struct space *space, address_t address, uint32_t length);

/* Instead of both: it is a new one, and what is noted concerns another. */
void space_forget_writes(struct space *space);

/* What was HELD becomes EMPTY. */
void space_let_go(struct space *space);

/* -- Blocks come and go. -- */

/* Whether EMPTY blocks are wanted where there are FREE ones, as they are not at first. */
void space_set_reuses(struct space *space, bool reuses);

/* Blocks to fill, MOST at most, one behind the other from *FIRST on, which were FREE or EMPTY;
 * how many: 0 when there are none. */
uint32_t space_take(struct space *space, uint32_t most, uint32_t *first,
                    bool *was_free);

/* All objects of the block, LIVE_BYTES by block_object_bytes(), can be referred to
 * now. */
void space_landed(struct space *space, uint32_t block, uint32_t live_bytes);

/* A split object of BYTES, headers included, is in blocks that are about to land. */
void space_note_split(struct space *space, uint32_t bytes);

/* One object of LENGTH at ADDRESS is referred to no more. */
void space_release(struct space *space, address_t address, uint32_t length);

/* What has been released so far, in all.  For the writeback thread. */
uint64_t space_released_bytes(const struct space *space);

/* Around a read of an object.  The pin goes on under the lock of the slot that refers to
 * it, and is on both blocks of a split one. */
void space_pin(struct space *space, address_t address, uint32_t length);
void space_unpin(struct space *space, address_t address, uint32_t length);

/* Around a read of a block, without knowing of a slot in it.  False: it is not USED. */
bool space_try_pin_block(struct space *space, uint32_t block);
void space_unpin_block(struct space *space, uint32_t block);

/* Whether so much of what is live is split that more is gained by splitting what is moved, too. */
bool space_is_split(const struct space *space);

/* A block that space_take() gave, and into which nothing was written. */
void space_untake(struct space *space, uint32_t block, bool was_free);

/* How many blocks space_take() would find. */
uint32_t space_available(const struct space *space);

/* Blocks that are short will be used again soon: EMPTY ones need not be discarded. */
bool space_is_short(const struct space *space);

/* How many are EMPTY. */
uint32_t space_empty_blocks(const struct space *space);

/* As space_take(), for EMPTY blocks only, to discard and put back. */
uint32_t space_take_empty(struct space *space, uint32_t most, uint32_t *first);

/* COUNT blocks that were FILLING, from FIRST on, become FREE if they are DISCARDED or were
 * never written, else EMPTY. */
void space_put_back(struct space *space, uint32_t first, uint32_t count,
                    bool discarded);

/* Blocks that are not FREE, which is what a file has allocated. */
uint32_t space_used_blocks(const struct space *space);

/* Live bytes of a USED block that cleaning was not tried on, 0 for others; and how many
 * were live once and are not any more, to within 64.  What was never filled, since no
 * object fitted, is not dead, for it would be left over again; unless that is half of the
 * block or more. */
uint32_t space_cleanable_bytes(const struct space *space, uint32_t block,
                               uint32_t *dead_bytes);

/* Cleaning was tried: what is still live in the block then is damaged or on its way, and
 * stays until nothing refers to it. */
void space_set_tried(struct space *space, uint32_t block, bool tried);
bool space_is_tried(const struct space *space, uint32_t block);

/* Whether every block is FREE, EMPTY, or USED and not pinned, and all that is counted
 * right; when nothing is under way.  -EUCLEAN. */
int space_check(struct space *space);

#endif
