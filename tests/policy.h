/* policy.h - the parts of a volume without its thread, for tests of what chooses pages
 *
 * Owns:    slots, pool, contexts, and a segment to fill that is never written.
 * Called:  by unit-idle.c and unit-select.c.
 * Locks:   none.
 * Never:   looks at a clock, but to measure.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_POLICY_H
#define TESTS_POLICY_H

#include "harness.h"
#include "segment.h"

struct policy {
    struct parts parts;
    struct space space;
    struct segment_set segments;
    struct faulty *faulty;
};

void policy_open(struct policy *policy, slot_t slots);
void policy_close(struct policy *policy);

/* An object for SLOT, of some 100 bytes, or raw. */
void policy_put(struct policy *policy, slot_t slot, bool huge);

/* As a read of it does, counted as such. */
void policy_access(struct policy *policy, slot_t slot);

struct segment *policy_segment(struct policy *policy);

/* Lets go of it; how many pages were in it, of which those from FIRST to END. */
unsigned policy_take(struct segment *segment, slot_t first, slot_t end,
                     unsigned *of_these);

/* What CALL costs on a volume of 4 TiB, which POLICY becomes: less than a millisecond of CPU time,
 * both where it has no pages and where the first PAGES have content.  BEGIN goes first. */
void policy_check_cost_at_4_tib(struct policy *policy, slot_t pages,
                                void (*begin)(void), void (*call)(void));

#endif
