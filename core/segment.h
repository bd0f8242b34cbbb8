/* segment.h - packs objects into segments, and sees them to the backing store
 *
 * Owns:    the buffers of segments that are being filled or written, and the tickets of
 *          the objects in them.
 * Called:  by the writeback thread only.
 * Locks:   one slot at a time, for a copy or an edge.
 * Never:   chooses what to write, or retries.
 *
 *   segment_begin(), segment_add() ..., segment_submit(), and then
 *     landed: the slots are switched, and their RAM is freed
 *     failed: the marks are taken off, and all is as before
 *
 * An object that is added is copied as it is in the pool, under its slot's lock; the
 * slot is WRITING from then on, and its object in the pool stays until the copy has
 * landed and nobody has used the page meanwhile (rules S3 and S4).  The cleaner adds
 * STORED objects the same way, from blocks that it has read.
 *
 * A segment is a number of blocks that are written together, in one go as far as free
 * blocks are neighbours.  Each object goes where it fits best, and what fits nowhere is
 * put aside for the next segment: with real pages, 97 % of what is written is objects.
 * Once it has landed nothing holds a segment's blocks together: each is free again when
 * its own few objects are dead.  With space that comes free in whole segments only,
 * cleaning writes 2.8 bytes for each that random overwrites make it write, at 80 % full;
 * with blocks 1.7.  Objects of one single length leave up to half of each block unused; split
 * over two neighbouring blocks they would not, but in a store that is nearly full there are
 * few neighbours, and cleaning moves whole objects to be rid of halves: at 71 % full it got
 * nowhere.
 *
 * Padding is zeroed: nothing of what a buffer held before leaves RAM.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SEGMENT_H
#define ZSLOT_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "backing.h"
#include "block-format.h"
#include "parts.h"
#include "space.h"

#define SEGMENT_BLOCKS 64u
#define SEGMENT_BYTES (SEGMENT_BLOCKS * BLOCK_BYTES)

/* Segments being written at a time, and one that is filled.  More in flight gained
 * nothing that could be measured on a file in RAM, and each costs its buffer. */
#define SEGMENTS_IN_FLIGHT 8

/* Objects that are put aside until a segment counts as full.  Pages that leave one after
 * the other have objects of like lengths, which leave much of a block unused; with so
 * many to choose from, 4 % of what is written, and 11 % with none. */
#define SEGMENT_ASIDE_MAX 256u

/* Small objects fill a segment's tickets before its bytes. */
#define SEGMENT_OBJECTS_MAX 1024

struct segment_set;

struct segment_object {
    struct slot_ticket ticket;
    uint16_t offset; /* of its header in the block; 0 for a raw page */
    uint8_t block;   /* the segment's */
};

struct segment {
    struct segment_set *set;
    uint32_t blocks; /* that it may have */
    uint32_t used;   /* that have something in them, which are the first ones */
    uint32_t objects;
    uint32_t object_bytes;  /* the objects' own */
    uint32_t evicted_bytes; /* of these, what is to leave RAM */
    bool cleans;            /* some come from other blocks */
    struct segment *next;   /* free buffers */

    uint16_t filled[SEGMENT_BLOCKS];       /* bytes */
    uint32_t number[SEGMENT_BLOCKS];       /* in the backing store, once submitted */
    struct backing_io ios[SEGMENT_BLOCKS]; /* one for each run of neighbours */
    uint32_t ios_left;
    int result;
    uint64_t sequence; /* as they are submitted */

    unsigned char *buffer;
    struct segment_object *table;
};

struct segment_set {
    struct parts *parts;
    struct backing *backing;
    struct space *space;
    uint64_t seed; /* of the store's checksums */

    struct region region;
    struct segment *free;
    _Atomic unsigned free_count; /* of these */
    unsigned in_flight;
    uint64_t sequence; /* of the last one submitted */
    uint32_t promised; /* blocks to segments that are not submitted yet */
    /* Slots that did not fit, not marked in any way: the next segment begins with them. */
    slot_t aside[SEGMENT_ASIDE_MAX];
    unsigned aside_count;

    /* Told of every segment that has landed (0) or failed, after its slots were seen
     * to. */
    void (*done)(void *opaque, struct segment *segment, int result);
    void *opaque;

    /* For statistics. */
    _Atomic uint64_t written_bytes, evicted_bytes, evicted_objects, stale_objects,
        failed;
};

/* Segments there are, and the RAM that their buffers take. */
#define SEGMENTS (SEGMENTS_IN_FLIGHT + 1)
uint64_t segment_set_bytes(void);

int segment_set_open(struct segment_set *set, struct parts *parts, struct space *space,
                     struct backing *backing, bool lock_in_ram); /* -ENOMEM */
int segment_set_start(struct segment_set *set);                  /* -ENOSPC, -ENOMEM */
void segment_set_close(struct segment_set *set);

/* A segment to fill, which leaves RESERVE blocks to others.  -EAGAIN: all buffers are in
 * flight; -ENOSPC: no blocks. */
int segment_begin(struct segment_set *set, uint32_t reserve, struct segment **segment);

/* Adds the object of SLOT, if it is in the pool and not WRITING, or puts it aside.
 * -EAGAIN: it is not; -ENOSPC: there is room for it neither here nor there. */
int segment_add(struct segment *segment, slot_t slot);

/* Adds what was put aside, as far as there is room. */
void segment_add_aside(struct segment *segment);

/* Adds an object read from elsewhere on the backing store, if its slot still refers to
 * OLD.  Errors as segment_add(). */
int segment_add_stored(struct segment *segment, const struct object_header *object,
                       address_t old);

/* What writing it takes, padding included. */
uint32_t segment_write_bytes(const struct segment *segment);

/* Writes it.  An empty one is put back. */
void segment_submit(struct segment *segment);

/* Lets go of what is in a segment that was not submitted. */
void segment_abandon(struct segment *segment);

#endif
