/* stages.h - the stages of writeback, fetch and cleaning, and somebody in their middle
 *
 * Owns:    the backing store of race.h's volume.
 * Called:  by race-writeback*.c.
 * Locks:   none.
 * Never:   says what the outcome must be.
 *
 * A segment that is written is
 *   copied     the objects are in it, and it is not submitted
 *   in flight  it is on its way to the backing store
 *   landed     it is there, no slot is switched
 *   switched   the page's slot refers to it, the old object is not freed
 *   failed     it will not get there
 * whether its objects come from RAM or, by the cleaner, from a segment; and a fetch is
 *   in flight  it is on its way
 *   landed     its bytes are there, the slot is not looked at again
 *   failed     they will not come
 *
 * At copied, landed and switched, and when a fetch has landed, the writeback thread is
 * stopped: who needs it waits.  Such a second actor is told apart as one that waits.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_STAGES_H
#define TESTS_STAGES_H

#include "backing-faulty.h"
#include "race.h"

extern struct faulty *stage_faulty;

/* Instead of race_setup() and race_teardown(). */
void stage_setup(uint64_t backing_bytes);
void stage_teardown(void);

uint64_t stage_stat(enum stat_id stat);

/* -- Actors. -- */

void stage_write_back(void *opaque); /* all that is in RAM, unless writes fail */
void stage_write_a_and_back(void *opaque);
void stage_make_holes_and_compact(void *opaque);
void stage_read_is_eio(void *opaque);

/* -- Stages.  BEGIN is an actor that has a segment with the page written, READER one
 * that fetches the page.  SECOND runs in the test's thread and ends in the middle;
 * or, when it WAITS, in one of its own, and in the middle it waits for a fetch of
 * the page. -- */

void stage_at_segment(enum gate point, actor_fn *begin, actor_fn *second, bool waits);
void stage_in_flight(int result, actor_fn *begin, actor_fn *second);
void stage_fetch_in_flight(int result, actor_fn *reader, actor_fn *second, bool waits);
void stage_fetch_landed(actor_fn *reader, actor_fn *second, bool waits);

/* -- The cleaner. -- */

/* Instead of stage_setup(): a store with few free blocks, in some of which there is a
 * small object beside a large one; the page is the large one of the first. */
#define STAGE_VICTIMS 41u
void stage_setup_cleaner(void);

/* Trims the small ones, which is what the cleaner waits for: it reads all these blocks
 * at once, and writes a segment with what is live in them, the page first. */
void stage_clean(void *opaque);
void stage_clean_to_the_end(void *opaque);

/* The cleaner's read of the page's segment is under way, and ends with RESULT. */
void stage_cleaner_reads(int result, actor_fn *second);

#endif
