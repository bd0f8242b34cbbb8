/* writeback.h - moves pages to the backing store, in the thread of the volume's loop
 *
 * Owns:    all that this needs in the loop: selection, segments, cleaning, discards;
 *          and the fetches, whose completions run there.
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
#include "filter.h"
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

/* Gets its memory, in which restore.c puts what it has found. */
int writeback_prepare(struct writeback *writeback); /* -ENOSPC, -ENOMEM */

/* In the loop of BASE (loop.h), which does not run yet.  The backing store stays as it is. */
struct event_base;
int writeback_start(struct writeback *writeback, struct event_base *base);

/* In the thread of the loop, when nothing can fail any more: now the store is given its header, and what
 * it holds from before is discarded. */
void writeback_begin(struct writeback *writeback);

/* While the loop still runs: what is in flight lands, nothing new begins.  I/O that does
 * not end within two or three seconds is left alone, and so is all that it refers to, for
 * ever. */
void writeback_stop(struct writeback *writeback);
void writeback_close(
    struct writeback *writeback); /* the loop has ended; NULL is fine */

/* Has every page in RAM that FILTER lets through written, once, whatever its age and the
 * headroom, and waits until the last of it has landed.  -EIO, -ENOSPC, -EDQUOT: not all of it
 * has, since the backing store failed, is full, or the budget is spent; -ECANCELED: WORK,
 * which may be NULL, says that nobody wants to wait any more, or the thread stops.  Of several at a time the
 * widest filter counts for all. */
struct work;
int writeback_all(struct writeback *writeback, const struct filter *filter,
                  struct work *work);

/* -- In the thread of the loop. -- */

void writeback_set_idle_age(struct writeback *writeback, uint32_t idle_age_s);
void writeback_set_limit(struct writeback *writeback, uint64_t bytes_per_day);

/* Tries at once what it would try after a pause: writing, after a failure, and reaching the server that is
 * away. */
void writeback_retry(struct writeback *writeback);

/* Objects that the backing store would take now; 0 while it fails. */
uint64_t writeback_room_bytes(struct writeback *writeback);

/* What may be written now with a writeback-limit of BYTES_PER_DAY, which may be another than
 * there is. */
uint64_t writeback_budget_bytes(const struct writeback *writeback,
                                uint64_t bytes_per_day);

/* -- By any thread. -- */

/* How long a page's age takes to grow by one; 0: pages do not age by the clock. */
uint64_t writeback_age_unit_ms(const struct writeback *writeback);

struct writeback_stats {
    uint64_t evicted_pages, evicted_bytes, written_bytes, used_bytes, live_bytes;
    uint64_t blocks_cleaned, failed_segments, corrupt_objects;
    uint64_t free_bytes, segments_in_use, segments_free;
};
void writeback_ask(struct writeback *writeback, struct writeback_stats *stats);

/* Whether the account of the backing store is right; looks at nothing while writeback
 * runs.  -EUCLEAN. */
int writeback_check(struct writeback *writeback);

/* For write, read and trim. */
struct fetch_table;
struct space;
struct fetch_table *writeback_fetches(struct writeback *writeback);
struct space *writeback_space(struct writeback *writeback);

#endif
