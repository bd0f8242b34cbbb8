/* writeback.h - the thread that moves pages to the backing store
 *
 * Owns:    the event loop, and all that works in it: selection, segments, cleaning,
 *          discards; and the fetches, whose completions run there.
 * Called:  open, start, stop and close by one thread; the rest by request threads.
 * Locks:   LOCK_RANK_ROOM, in writeback_all().
 * Never:   runs on a request's thread.
 *
 * Failure. A segment that cannot be written leaves its pages in RAM; the thread waits,
 * longer each time, and tries again.  After FAILURES_MAX in a row the backing store is
 * FAILED: writers at the limit get ENOSPC at once instead of waiting, while the thread
 * still tries now and then; one success and all is well again.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_WRITEBACK_H
#define ZSLOT_WRITEBACK_H

#include <stdbool.h>
#include <stdint.h>

#include "backing.h"
#include "parts.h"

struct writeback;

struct writeback_policy {
    uint32_t idle_age_s;    /* 0: none; IDLE_AUTO (idle.h) */
    uint64_t bytes_per_day; /* UINT64_MAX: no limit */
};

/* What it costs in RAM for a backing store of BACKING_BYTES; and with a state, in addition,
 * for BACKING. */
uint64_t writeback_bytes(uint64_t backing_bytes);
uint64_t writeback_state_bytes(const struct backing *backing);

/* What it was charged, once it is started. */
uint64_t writeback_fixed_bytes(const struct writeback *writeback);

/* BACKING is taken: writeback_close() closes it. */
int writeback_open(struct parts *parts, struct backing *backing,
                   const struct writeback_policy *policy, bool lock_in_ram,
                   struct writeback **writeback); /* -ENOMEM */

/* Gets its memory, in which restore.c puts what it has found; and then begins to work. */
int writeback_prepare(struct writeback *writeback); /* -ENOSPC, -ENOMEM */
int writeback_start(struct writeback *writeback);
/* Ends the thread: what is in flight lands, nothing new begins.  I/O that does not end
 * within four seconds is left alone, and so is all that it refers to, for ever. */
void writeback_stop(struct writeback *writeback);
void writeback_close(struct writeback *writeback); /* NULL is fine */

/* Has every page in RAM written, once, whatever its age and the headroom, and waits until
 * the last of it has landed.  -EIO, -ENOSPC, -EDQUOT: not all of it has, since the backing
 * store failed, is full, or the budget is spent. */
int writeback_all(struct writeback *writeback);

struct writeback_stats {
    uint64_t evicted_pages, evicted_bytes, written_bytes, used_bytes, live_bytes;
    uint64_t blocks_cleaned, failed_segments, corrupt_objects;
};
void writeback_ask(struct writeback *writeback, struct writeback_stats *stats);

/* Whether the account of the backing store is right; looks at nothing while the thread
 * runs.  -EUCLEAN. */
int writeback_check(struct writeback *writeback);

/* For write, read and trim. */
struct fetch_table;
struct space;
struct fetch_table *writeback_fetches(struct writeback *writeback);
struct space *writeback_space(struct writeback *writeback);

#endif
