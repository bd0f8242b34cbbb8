/* fetch.h - brings stored pages back; others who want the same page wait
 *
 * Owns:    a bounded number of fetches with a buffer each.
 * Called:  fetch_object() and fetch_release() by request threads, with no context and
 *          no lock; completions by the writeback thread, or by who waits for a fetch.
 * Locks:   LOCK_RANK_FETCH; under it a slot, to see and mark it.
 * Never:   destroys the page, whatever happens (rule S7).
 *
 * One backing read serves all who want a page while it is under way (rule S5).  The
 * slot is FETCHING for as long; its block, or its two, are pinned, so that the space is not
 * used again under the read (rule S6).  A write or a trim does not wait for it: it switches
 * the slot, the ticket is stale then, and who waited looks at the slot again (rule S2).
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_FETCH_H
#define ZSLOT_FETCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "backing.h"
#include "parts.h"
#include "space.h"
#include "touch.h"

#define FETCHES_MAX 64

/* Those that fetch ahead leave so many to those that need a page now. */
#define FETCHES_RESERVED 16

enum fetch_state { FETCH_FREE, FETCH_READING, FETCH_DONE };

struct fetch {
    struct backing_io io, rest_io;
    bool has_rest_io; /* the object is in two blocks that are no neighbours */
    _Atomic unsigned reads_left;
    _Atomic int read_result; /* of one that failed */
    struct fetch_table *table;
    struct slot_ticket ticket;
    struct fetch *next; /* free ones */
    /* Guarded by the table's lock. */
    enum fetch_state state;
    unsigned users; /* readers, and the I/O while it is under way */
    int result;
    unsigned char *buffer;
    const unsigned char *object; /* in buffer, when the result is 0 */
};

struct fetch_table {
    struct parts *parts;
    struct space *space;
    struct backing *backing;
    struct seal seal;     /* of the store's checksums */
    struct region region; /* the buffers, two blocks each */

    struct lock lock;
    pthread_cond_t changed; /* a fetch is done, or free */
    struct fetch fetches[FETCHES_MAX];
    struct fetch *free;
    unsigned free_count;
    struct touch_table touches;
    _Atomic uint64_t corrupt; /* objects that were not what was written */
    _Atomic uint64_t failed;  /* reads */
    _Atomic int failed_err;   /* errno of the last one */
};

uint64_t fetch_table_bytes(void);
int fetch_table_open(struct fetch_table *table, struct parts *parts,
                     struct space *space, struct backing *backing,
                     bool lock_in_ram);           /* -ENOMEM */
int fetch_table_start(struct fetch_table *table); /* -ENOSPC, -ENOMEM */
void fetch_table_close(struct fetch_table *table);

/* Waits for the object that SLOT refers to.  0: *FETCH has it, under its ticket, until
 * fetch_release().  -ESTALE: the page is not stored, or no longer the one that was
 * read: look again. -EIO: it cannot be read, not within its timeout_ms, or is not
 * what was written; -ESHUTDOWN: not yet, and the host ends; the slot is as it was.  *WARM says whether the page has been wanted
 * before since it was last idle, *JOINED whether somebody else had begun the fetch. */
int fetch_object(struct fetch_table *table, slot_t slot, struct fetch **fetch,
                 bool *warm, bool *joined);
void fetch_release(struct fetch *fetch);

/* Whether a read of BYTES at OFFSET of a page that is WARM wants it again, and does not just go on
 * with the read before it (touch.h).  Also to be told of pages that are not. */
bool fetch_wants_again(struct fetch *fetch, uint32_t offset, uint32_t bytes, bool warm);

/* The same in two steps, for who will want several pages: begins without waiting for
 * anything, and leaves some fetches to others.  -EAGAIN: there are no more; -ESTALE. */
int fetch_begin(struct fetch_table *table, slot_t slot, struct fetch **fetch,
                bool *warm);

/* Waits for what fetch_begin() began; errors as fetch_object(), after which FETCH is
 * released. */
int fetch_wait(struct fetch *fetch);

/* Whether no read is under way, wanted by anybody or not. */
bool fetch_table_is_idle(struct fetch_table *table);

#endif
