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
 * An object that is added is copied as it is in the pool, under its slot's lock, with
 * its checksum; the slot is WRITING from then on, and its object in the pool stays
 * until the copy has landed and nobody has used the page meanwhile (rules S3 and S4).
 * The cleaner adds STORED objects the same way, from a segment that it has read.
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
#include "parts.h"
#include "segment-format.h"
#include "space.h"

/* Segments being written at a time, and one that is filled.  More in flight gained
 * nothing that could be measured on a file in RAM, and each costs its buffer. */
#define SEGMENTS_IN_FLIGHT 8

/* Small objects fill a segment's tickets before its bytes. */
#define SEGMENT_OBJECTS_MAX 1024

struct segment_set;

struct segment_object {
    struct slot_ticket ticket;
    uint32_t offset;
};

struct segment {
    struct backing_io io;
    struct segment_set *set;
    uint32_t number; /* in the backing store */
    uint32_t bytes;  /* filled so far */
    uint32_t objects;
    uint32_t object_bytes; /* of these, the objects' own */
    bool cleans;           /* some come from other segments */
    struct segment *next;  /* free buffers */
    unsigned char *buffer;
    struct segment_object *table;
};

struct segment_set {
    struct parts *parts;
    struct backing *backing;
    struct space *space;
    unsigned char identity[16];
    uint64_t sequence;

    struct region region;
    struct segment *free;
    unsigned in_flight;

    /* Told of every segment that has landed (0) or failed, after its slots were seen
     * to. */
    void (*done)(void *opaque, struct segment *segment, int result);
    void *opaque;

    /* For statistics. */
    _Atomic uint64_t written_bytes, evicted_bytes, evicted_objects, stale_objects,
        failed;
};

/* The RAM that the buffers take. */
uint64_t segment_set_bytes(void);

int segment_set_open(struct segment_set *set, struct parts *parts, struct space *space,
                     struct backing *backing, bool lock_in_ram); /* -ENOMEM */
int segment_set_start(struct segment_set *set);                  /* -ENOSPC, -ENOMEM */
void segment_set_close(struct segment_set *set);

/* An empty segment to fill.  -EAGAIN: all buffers are in flight; -ENOSPC: no free
 * segment. */
int segment_begin(struct segment_set *set, struct segment **segment);

/* Adds the object of SLOT, if it is in the pool and not WRITING.  -EAGAIN: it is not;
 * -ENOSPC: no room in this segment for it. */
int segment_add(struct segment *segment, slot_t slot);

/* Adds an object read from elsewhere on the backing store, if its slot still refers to
 * OLD. Errors as segment_add(). */
int segment_add_stored(struct segment *segment, const struct object_header *object,
                       address_t old);

/* What writing it takes, padding included. */
uint32_t segment_write_bytes(const struct segment *segment);

/* Writes it.  An empty one is put back. */
void segment_submit(struct segment *segment);

/* Lets go of what is in a segment that was not submitted. */
void segment_abandon(struct segment *segment);

#endif
