/* select.h - which slots go next
 *
 * Owns:    a hand that goes round the slot table, and how old a page must be to go.
 * Called:  by the writeback thread only.
 * Locks:   one slot at a time.
 * Never:   looks at more than it is told to per call, however large the volume.
 *
 * Age is counted in visits: each time the hand passes a page that was not accessed
 * since, the page's age grows by one; an access makes it 0.  A page goes when it is
 * SELECT_AGE visits old, an incompressible one a visit earlier, since it frees three
 * times as much.  With several ages this is closer to least-recently-used than the
 * classic clock with its one.  When a whole round finds nothing so old, younger pages
 * go too, until rounds are fruitful again.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SELECT_H
#define ZSLOT_SELECT_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

#define SELECT_AGE SLOT_VISITS_MAX

struct select {
    struct parts *parts;
    slot_t hand;
    unsigned age;    /* from which a page goes, now */
    uint64_t found;  /* in this round */
    unsigned barren; /* rounds in a row that found nothing */
};

enum select_result {
    SELECT_FULL,  /* the segment is */
    SELECT_MORE,  /* VISITS are used up: call again */
    SELECT_BARREN /* whole rounds found nothing: wait for I/O or for accesses to end */
};

void select_init(struct select *select, struct parts *parts);

/* Goes on round the table, VISITS slots or leaves at most, and adds what should go to
 * SEGMENT, which stops at object bytes of WANTED too. */
enum select_result select_fill(struct select *select, struct segment *segment,
                               unsigned visits, uint64_t wanted);

#endif
