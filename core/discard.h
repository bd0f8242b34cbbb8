/* discard.h - gives blocks that stay empty back to the file system or the device
 *
 * Owns:    the discards under way.
 * Called:  by the writeback thread only.
 * Locks:   none of its own.
 * Never:   discards more than was too much.
 *
 * What the next segment is written to need not be given back before: a file system would have
 * to allocate it anew, and a device to note both.  So of the blocks that are EMPTY those go that
 * were too many for a while: as many as were EMPTY at each moment of it.  Which of them is all
 * the same.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_DISCARD_H
#define ZSLOT_DISCARD_H

#include <stdbool.h>
#include <stdint.h>

#include "backing.h"
#include "space.h"

/* Under way at a time. */
#define DISCARDS_MAX 8

/* What was not needed for so long is not needed. */
#define DISCARD_AFTER_MS 900 /* less than a tick takes */

struct discard {
    struct backing_io io;
    struct discards *discards;
    bool busy;
    uint32_t first, count; /* blocks */
};

struct discards {
    struct backing *backing;
    struct space *space;
    struct discard all[DISCARDS_MAX];
    uint64_t since_ms;
    uint32_t least;   /* blocks that were EMPTY at any moment since */
    uint32_t surplus; /* of them, to be discarded */

    /* Told whenever one has ended. */
    void (*wake)(void *opaque);
    void *opaque;
};

/* Discards what there is too much of, and leaves RESERVE blocks to others. */
void discards_step(struct discards *discards, uint32_t reserve, uint64_t now_ms);

/* All that is EMPTY is too much: a write has failed, for want of room perhaps. */
void discards_hurry(struct discards *discards);

bool discards_are_busy(const struct discards *discards);

#endif
