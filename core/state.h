/* state.h - the directory in which a volume's memory outlives the process
 *
 * Owns:    the directory, while it is open, and the header in it.
 * Called:  open and close by one thread; state_set_backing() by the writeback thread.
 * Locks:   the directory, by an flock, against other processes.
 * Never:   looks at slots or objects; what they say about the rest is restore.c's.
 *
 * The files are the header, and one for each shared region (region.h), by its name.
 *
 *   zslot-header   what the others are: format, size, backing store
 *   zslot-slots    the slot table, the only truth
 *   zslot-pool     the objects
 *   zslot-writes   which blocks of the backing store may be written to at any moment, even
 *                  when this process is no more (space.h); with an NBD server only
 *
 * All else (free places, live bytes, counts) is in no file: it follows from the slots.
 * Nothing says whether the process that had the directory last came to a good end, since
 * nothing would depend on it.
 *
 * A kill is not a power cut: what a process has stored in shared memory is there when it is
 * killed, in the order of its program.  (On a disk, where the kernel writes at its own time,
 * that does not outlive the system: such a state is refused once it was started again.)  So it
 * is enough that
 *   - a slot switches in one step (slot.h, Kills);
 *   - an object, here or on the backing store, is there before a slot refers to it;
 *   - its place is used again only after the slot has switched.
 *
 * A new directory gets its header last, by a rename: until then nothing was served, and what
 * is there is thrown away by the next start.  Later changes are one write of one page,
 * which a kill cannot cut in two.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_STATE_H
#define ZSLOT_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "block-format.h"
#include "reason.h"

/* Of all the files.  One more whenever what is in them changes: the entry of a slot, size
 * classes, spans, the header. */
#define STATE_FORMAT 1
#define STATE_IDENTITY_BYTES 16

enum state_backing {
    STATE_BACKING_NONE,
    STATE_BACKING_KNOWN, /* pages may be on it */
    STATE_BACKING_BEGUN, /* it was given its header, which may land at any moment */
};

struct state_header {
    char magic[8];
    uint32_t format;
    uint32_t page_bytes;
    uint64_t size;       /* of the volume, in bytes */
    uint32_t backing_is; /* enum state_backing */
    uint32_t boot;       /* of the system that it was made under, a hash */
    unsigned char backing[BACKING_IDENTITY_BYTES]; /* the identity of the store */
    unsigned char identity[STATE_IDENTITY_BYTES];  /* of these pages, at random */
    uint64_t checksum;                             /* of all before it */
};

struct state {
    const char *path; /* borrowed */
    int directory;    /* -1: closed */
    bool kept;        /* there was a header */
    bool is_on_disk;  /* not on a tmpfs */
    bool had_writes;  /* zslot-writes was there before */
    char *made_path;  /* of a directory that we made, or NULL */
    struct state_header header;
};

/* Opens and locks the directory PATH, which is made if it does not exist, for a volume of
 * SIZE bytes.  On failure a negative errno and a sentence, and the directory is as it
 * was. */
int state_open(struct state *state, const char *path, uint64_t size,
               struct reason *reason);

/* What there is to serve is there: a new directory gets its header. */
int state_complete(struct state *state, struct reason *reason);

/* Before it is closed, of a start that is refused: what it has made is not there any more, the
 * directory among it.  Nothing that was there before goes. */
void state_take_away(struct state *state);

/* Fine for one that was not opened, if directory is -1. */
void state_close(struct state *state);

/* Whether IDENTITY is that of the backing store which this state's pages may be on. */
bool state_knows_backing(const struct state *state, const unsigned char *identity);

/* A header with IDENTITY is about to be written to the store; and it has landed, pages may be on
 * that one from now on.  A negative errno. */
int state_begin_backing(struct state *state, const unsigned char *identity);
int state_set_backing(struct state *state, const unsigned char *identity);

/* The identity with which a header was begun and is not known to have landed, or NULL. */
const unsigned char *state_begun_backing(const struct state *state);

#endif
