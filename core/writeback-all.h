/* writeback-all.h - writeback that somebody asks for: one walk over the table
 *
 * Owns:    what is asked for, and how far the walk is.
 * Called:  by the writeback thread; what others call is writeback_all() (writeback.h).
 * Locks:   room_lock of struct writeback, as the fields say.
 * Never:   walks further at once than it is told.
 *
 * One walk at a time.  A request that comes while another is on its way has the walk begin
 * anew for both, with what either of them asks for.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_WRITEBACK_ALL_H
#define ZSLOT_WRITEBACK_ALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "filter.h"
#include "slot.h"

struct segment;
struct writeback;

struct writeback_all {
    _Atomic uint64_t asked, begun, done; /* requests, counted */
    struct filter wanted;                /* by the next; guarded by room_lock */
    int result; /* of the last one done; guarded by room_lock */

    /* Since the last began. */
    struct filter filter;
    _Atomic uint64_t pages, bytes; /* chosen */
    _Atomic slot_t hand;
    bool walked;    /* all that is asked for is chosen */
    bool owes;      /* and some of that may be in the segment that is being filled */
    unsigned aside; /* of it, as it was seen last */
    uint64_t last;  /* the last segment that it waits for */
    unsigned left;  /* of these, in flight */
    int failed;     /* why not all of it is written */
    bool hopeless;  /* and why the rest will not be either */
};

/* Whether there is a request to go on with; ends one that is hopeless. */
bool writeback_all_is_wanted(struct writeback *writeback);

/* Goes on with it, by VISITS slots or leaves at most. */
void writeback_all_step(struct writeback *writeback, unsigned visits);

/* SEGMENT has landed (0) or failed. */
void writeback_all_note_done(struct writeback *writeback, const struct segment *segment,
                             int result);

/* What has not been written yet will not be, for this negative errno. */
void writeback_all_give_up(struct writeback *writeback, int why);

#endif
