/* clean.h - gathers what is live in sparse blocks, so that whole ones become free
 *
 * Owns:    a buffer for the blocks.  What to clean is sparse.h's choice.
 * Called:  by the writeback thread only.
 * Locks:   one slot at a time.
 * Never:   frees what it moved: the last reference to leave a block does.
 *
 * A number of blocks is read, and the objects in them that slots still refer to are
 * added to a new segment.  A slot that is fetched, written or trimmed meanwhile is none
 * of the cleaner's: its ticket is stale when the new segment lands.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_CLEAN_H
#define ZSLOT_CLEAN_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"
#include "sparse.h"

/* So many sparse blocks are read at a time, and may be gathered before the outcome is
 * known. */
#define CLEAN_BLOCKS 64u
#define CLEAN_TRIED_MAX (4 * CLEAN_BLOCKS)

struct cleaner;

/* The block with the other part of a split object, head or rest. */
struct partner {
    struct backing_io io;
    char *content;     /* in the buffer; NULL: there is none */
    uint32_t block;    /* pinned for this; 0: it is a victim too */
    slot_t slot;       /* the object's */
    address_t address; /* likewise */
};

/* A block being cleaned.  Where objects are split so may be the first one that stands in it,
 * with its head before, and the last one, with its rest behind. */
struct victim {
    struct backing_io io;
    struct cleaner *cleaner;
    uint32_t block;
    char *content; /* in the buffer */
    struct partner before, behind;
    bool failed; /* it could not be read, or a partner */
};

struct cleaner {
    struct segment_set *segments;
    struct region region; /* the buffer: victims, and then partners */
    struct victim victims[CLEAN_BLOCKS];
    unsigned count;   /* of victims */
    unsigned blocks;  /* of the buffer that are in use */
    unsigned reading; /* of them, being read */
    bool paired;      /* their partners are read, or there are none */
    bool loaded;      /* the buffer has them, walked up to these: */
    unsigned victim;
    uint32_t at; /* in its block */
    /* Blocks whose live objects are on their way, to be tried again if that fails. */
    uint32_t tried[CLEAN_TRIED_MAX];
    unsigned tried_count;
    unsigned outputs; /* segments that they are in, in flight */
    /* Blocks that could not be read, to be tried again after a while. */
    uint32_t refused[CLEAN_BLOCKS];
    unsigned refused_count;
    uint64_t refused_ms; /* the last of them */
    bool resting;        /* since none of a whole batch could be read */
    /* Blocks cleaned since more were available than before, which nobody has begun to fill. */
    uint64_t cleaned_since;
    uint32_t most_available;
    bool is_vain;                    /* it rests, since these were many */
    uint64_t vain_ms, vain_released; /* when, and what had been released by then */
    struct sparse sparse;
    void (*wake)(void *opaque); /* told when the reads are done */
    void *opaque;
    _Atomic uint64_t cleaned, failed; /* blocks */
};

int cleaner_open(struct cleaner *cleaner, struct segment_set *segments,
                 bool lock_in_ram);         /* -ENOMEM */
int cleaner_start(struct cleaner *cleaner); /* -ENOSPC, -ENOMEM */
void cleaner_close(struct cleaner *cleaner);

/* Chooses sparse blocks and begins to read them.  False: cleaning is not worth it among
 * those that it looked at, or enough is on its way. */
bool cleaner_begin(struct cleaner *cleaner, uint64_t now_ms);

/* Whether there is nothing to clean in the whole store, as it was then, or it was cleaned in vain. */
bool cleaner_has_looked_everywhere(const struct cleaner *cleaner);

/* Whether so much is on its way that it looks for no more until that has landed. */
bool cleaner_has_enough(const struct cleaner *cleaner);

/* Whether it reads, or has loaded what it read. */
bool cleaner_is_busy(const struct cleaner *cleaner);

/* Blocks that came available are about to be filled by others. */
void cleaner_note_room(struct cleaner *cleaner);

/* No segment that cleans is being filled. */
void cleaner_note_rest(struct cleaner *cleaner);

/* Forgets what is loaded; and the other also that it was tried, for want of a segment to
 * add it to. */
void cleaner_drop(struct cleaner *cleaner);
void cleaner_give_up(struct cleaner *cleaner);

/* A segment that cleans was submitted; and has landed (0) or failed, while there is or is
 * not another one being filled. */
void cleaner_note_submitted(struct cleaner *cleaner);
void cleaner_note_done(struct cleaner *cleaner, int result, bool more);

/* Adds live objects of the loaded blocks to OUT.  True: all are; false: OUT is full. */
bool cleaner_fill(struct cleaner *cleaner, struct segment *out);

#endif
