/* evict.h - what the writeback thread does when it is woken
 *
 * Owns:    the segments being filled, the retries.
 * Called:  by the writeback thread only.
 * Locks:   none of its own.
 * Never:   waits: what it cannot do now, a completion or a timer brings it back to.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_EVICT_H
#define ZSLOT_EVICT_H

#include <stdbool.h>

struct segment;
struct writeback;

/* Goes one bounded step on with all there is to do: surplus blocks to discard, sparse ones
 * to clean, idle pages, what writeback_all() asked for, and headroom. */
void evict_work(struct writeback *writeback);

/* Whether no I/O is under way. */
bool evict_is_idle(struct writeback *writeback);

/* Has the loop call evict_work() again. */
void evict_again_soon(struct writeback *writeback);

/* The backing store has done a write (0) or failed: see Failure in writeback.h. */
void evict_note_result(struct writeback *writeback, int result);

/* The segment being filled, or a new one; NULL while there is none to be had.  What
 * stops it calls us again when it ends. */
struct segment *evict_segment_to_fill(struct writeback *writeback);

/* Sends it off.  False: that would be past the budget, and its pages stay; there is
 * nothing to do for a while. */
bool evict_submit_filling(struct writeback *writeback);

/* A segment has landed or failed, and its slots are seen to (struct segment_set). */
void evict_segment_done(void *opaque, struct segment *segment, int result);

#endif
