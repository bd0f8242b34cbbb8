/* clean.h - gathers what is live in sparse segments, so that whole ones become free
 *
 * Owns:    one buffer, and the choice of what to clean.
 * Called:  by the writeback thread only.
 * Locks:   one slot at a time.
 * Never:   frees what it moved: the last reference to leave a segment does.
 *
 * A segment is read whole, and the objects in it that slots still refer to are added to
 * a new one. A slot that is fetched, written or trimmed meanwhile is none of the
 * cleaner's: its ticket is stale when the new segment lands.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_CLEAN_H
#define ZSLOT_CLEAN_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

/* So many sparse segments may be gathered before the outcome is known. */
#define CLEAN_TRIED_MAX 64

struct cleaner {
    struct segment_set *segments;
    struct region region; /* the buffer */
    struct backing_io io;
    bool reading;
    bool loaded;        /* the buffer has a segment, walked up to at */
    uint32_t victim;    /* the segment in the buffer, or being read into it */
    uint32_t at, bytes; /* within it */
    /* Segments whose live objects are on their way, to be tried again if that fails. */
    uint32_t tried[CLEAN_TRIED_MAX];
    unsigned tried_count;
    unsigned outputs;           /* segments that they are in, in flight */
    uint32_t hand;              /* where the search for the next begins */
    void (*wake)(void *opaque); /* told when a read is done */
    void *opaque;
    _Atomic uint64_t cleaned, failed;
};

int cleaner_open(struct cleaner *cleaner, struct segment_set *segments,
                 bool lock_in_ram);         /* -ENOMEM */
int cleaner_start(struct cleaner *cleaner); /* -ENOSPC, -ENOMEM */
void cleaner_close(struct cleaner *cleaner);

/* Chooses a sparse segment and begins to read it.  False: none is sparse enough, or there is
 * only one, which would but be copied; or enough is on its way. */
bool cleaner_begin(struct cleaner *cleaner);

/* Forgets a loaded segment. */
void cleaner_drop(struct cleaner *cleaner);

/* A segment that cleans was submitted; and has landed (0) or failed, while there is or is
 * not another one being filled. */
void cleaner_note_submitted(struct cleaner *cleaner);
void cleaner_note_done(struct cleaner *cleaner, int result, bool more);

/* Adds live objects of the loaded segment to OUT.  True: all are; false: OUT is
 * full. */
bool cleaner_fill(struct cleaner *cleaner, struct segment *out);

#endif
