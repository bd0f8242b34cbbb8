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
 * with blocks 1.7.
 *
 * Pages whose objects are all of like lengths fit together badly, whatever there is to choose
 * from: two of 1400 bytes in a block, one of 2100, and a third or half of what is written is
 * nothing.  When that shows, the segments that follow split objects (block-format.h): they
 * have their blocks before they are full, for those of an object must be near each other.  Now
 * and then one does not, by which to see whether it is still of use.  Real pages do without,
 * and their fetches read one block each.
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
    uint8_t block;   /* the segment's; a split one goes on in its next */
};

struct segment {
    struct segment_set *set;
    uint32_t blocks; /* that it may have */
    uint32_t taken; /* that it has: when it is submitted, or from the first object on */
    uint32_t used;  /* that have something in them, which are the first ones */
    uint32_t objects;
    uint32_t object_bytes;  /* the objects' own */
    uint32_t evicted_bytes; /* of these, what is to leave RAM */
    bool cleans;            /* some come from other blocks */
    bool splits;            /* objects, and so has its blocks early */
    struct segment *next;   /* free buffers */

    uint16_t filled[SEGMENT_BLOCKS];       /* bytes; 0 of those not used */
    bool was_free[SEGMENT_BLOCKS];         /* when it was taken (space.h) */
    uint32_t number[SEGMENT_BLOCKS];       /* in the backing store, once it has them */
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
    struct seal seal; /* of the store's checksums */

    struct region region;
    char *joined; /* a split object on its way from elsewhere */
    struct segment *free;
    _Atomic unsigned free_count; /* of these */
    unsigned in_flight;
    uint64_t sequence; /* of the last one submitted */
    uint32_t promised; /* blocks to segments that have not taken them yet */
    int waste; /* of what is written, left over on average; much: objects are split, */
    unsigned
        until_probe; /* but after so many segments not in one, to know whether it still is */
    /* Slots that did not fit, not marked in any way: the next segment begins with them. */
    slot_t aside[SEGMENT_ASIDE_MAX];
    unsigned aside_count;
    unsigned aside_marked; /* the first of them, by segment_mark_aside() */

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

/* The same for objects from sparse blocks, which reserves are for.  Also splits when those that are
 * evicted need it no more, and what is stored was split: it would take more blocks than come
 * free. */
int segment_begin_cleaning(struct segment_set *set, struct segment **segment);

/* Adds the object of SLOT, if it is in the pool and not WRITING, or puts it aside.
 * -EAGAIN: it is not; -ENOSPC: there is room for it neither here nor there. */
int segment_add(struct segment *segment, slot_t slot);

/* Adds what was put aside, as far as there is room. */
void segment_add_aside(struct segment *segment);

/* For who wants to know when what is aside now no longer is. */
void segment_mark_aside(struct segment_set *set);

/* Adds an object read from elsewhere on the backing store, in BLOCK and REST, if SLOT still
 * refers to it there, which is OLD.  Errors as segment_add(). */
int segment_add_stored(struct segment *segment, slot_t slot, address_t old, char *block,
                       char *rest);

/* What writing it takes, padding included. */
uint32_t segment_write_bytes(const struct segment *segment);

/* Writes it.  An empty one is put back. */
void segment_submit(struct segment *segment);

/* Lets go of what is in a segment that was not submitted. */
void segment_abandon(struct segment *segment);

#endif
