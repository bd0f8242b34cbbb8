/* idle.h - ages slots by the clock, and finds those that are idle
 *
 * Owns:    a hand that goes round the slot table once per unit of time; the idle age.
 * Called:  by the writeback thread only.
 * Locks:   one slot at a time.
 * Never:   reads a clock (time is passed in), or looks at more than it is told to per
 *          call.
 *
 * A page's age in units is known without looking at the page: an access makes it 0,
 * each round of the hand adds one.  A page is idle, and goes, when its age is the idle
 * age.
 *
 * With a fixed idle age a unit is 1/16 of it.  With idle-age=auto a unit is a minute,
 * and the idle age the youngest at which few enough pages would be wanted again: how
 * old pages were when they were accessed is counted, in RAM or not, so for each age it
 * is known how many accesses a minute would have been fetches had that been the idle
 * age.  The bound is 0.2 % of the working set per minute, as in "Software-Defined Far
 * Memory in Warehouse-Scale Computers" (Lagar-Cavilla et al., ASPLOS 2019, section
 * 4.2); the working set is the pages accessed within the last unit. The idle age rises
 * at once when too much is wanted, and falls by a unit a round.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_IDLE_H
#define ZSLOT_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

#define IDLE_AUTO UINT32_MAX
#define IDLE_UNITS_FIXED 16u
#define IDLE_AUTO_UNIT_MS 60000u
#define IDLE_AUTO_PER_MILLE 2u /* of the working set, per minute */

struct idle {
    struct parts *parts;
    bool automatic;
    unsigned units;           /* the idle age */
    _Atomic uint64_t unit_ms; /* 0: pages do not age by the clock */
    slot_t hand;
    bool in_round;
    uint64_t round_ms; /* when this round began */
    uint64_t last_round_ms;
    uint64_t pages[SLOT_UNITS_MAX + 1];      /* by age, as this round finds them */
    uint64_t last_pages[SLOT_UNITS_MAX + 1]; /* as the last round found them */
    uint64_t wanted[SLOT_UNITS_MAX + 1];   /* counted up to the end of the last round */
    uint64_t promoted[SLOT_UNITS_MAX + 1]; /* counted before the unit was what it is */
};

enum idle_result {
    IDLE_FULL, /* the segment is */
    IDLE_MORE, /* VISITS are used up: call again */
    IDLE_REST  /* nothing to do before the next round */
};

/* SECONDS: the idle age; IDLE_AUTO; or 0 for none. */
void idle_init(struct idle *idle, struct parts *parts, uint32_t seconds,
               uint64_t now_ms);

/* Another idle age from now on.  Ages stay what they are, counted in units of the new one:
 * a round or two later they are right. */
void idle_change(struct idle *idle, uint32_t seconds, uint64_t now_ms);

/* Goes on round the table, VISITS slots or leaves at most, and adds idle pages to
 * SEGMENT, if there is one. */
enum idle_result idle_fill(struct idle *idle, struct segment *segment, unsigned visits,
                           uint64_t now_ms);

#endif
