/* restore.h - takes over what a former process left in a state
 *
 * Owns:    nothing.
 * Called:  restore_survey() before a fork, restore_adopt() after it; by one thread, before
 *          anybody else is at work.
 * Locks:   none to speak of.
 * Never:   changes a slot, but for marks and locks of the process that is no more.
 *
 * The slots are the only truth.  From them follow which leaves there are and how many pages
 * each has; which places of the pool are used, by whom, and so the class and the RAM of each
 * span; which blocks of the backing store are used and how much of each is live; and every
 * gauge.  RAM that none of this explains, such as an object that no slot came to refer to,
 * is given back.  What contradicts itself is damaged: refused, and left as it is.
 *
 * The cost goes with what there is: the file of the slot table is asked for its pages.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_RESTORE_H
#define ZSLOT_RESTORE_H

#include "parts.h"
#include "reason.h"

struct restore {
    uint64_t pages;
    uint64_t stored;     /* of them, on the backing store */
    uint32_t last_block; /* the highest that these are in */
    uint64_t bytes;      /* of RAM that all of it takes */
    uint32_t spans;      /* used ones have lower numbers */
    unsigned codecs;     /* a bit per codec that objects are of */
};

/* What there is; changes nothing.  PARTS are open, not started.  On failure -EUCLEAN, or
 * another negative errno, and a sentence that begins with state=PATH. */
int restore_survey(const struct parts *parts, const char *path, struct restore *found,
                   struct reason *reason);

/* Takes it over.  PARTS are started, with a backing store if there was one for FOUND.  The
 * same on failure. */
int restore_adopt(struct parts *parts, const char *path, const struct restore *found,
                  struct reason *reason);

#endif
