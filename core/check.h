/* check.h - whether a volume at rest is what it should be
 *
 * Owns:    nothing.
 * Called:  by tests, and by -D zslot.check=1 at the end; while nobody else is at work in the volume.
 * Locks:   LOCK_RANK_COMPACT for the whole of it; under it slots and size classes, one at a
 *          time.
 * Never:   repairs.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_CHECK_H
#define ZSLOT_CHECK_H

#include "parts.h"
#include "reason.h"

/* Each slot is legal; each object is referred to by one slot, its owner, and there are
 * no others; the statistics and the account of RAM say what is there.  -EUCLEAN with a
 * sentence. */
int check_parts(struct parts *parts, struct reason *reason);

#endif
