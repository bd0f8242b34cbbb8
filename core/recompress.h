/* recompress.h - compresses pages in RAM anew, harder
 *
 * Owns:    which pages did not gain: a byte per slot, in RAM where it was tried.
 * Called:  recompress_run() by one thread at a time, any.
 * Locks:   one slot at a time, for a copy or an edge.
 * Never:   leaves a page with more RAM than it had, or makes it warm: its age and marks stay.
 *
 * The new object takes the place of the old one only if it is of a smaller size class.  A
 * page that does not gain is not tried again with the same codec until it is written: the
 * byte is of its slot's version.  One of 255 rewritten pages is taken for one that was
 * tried; nothing but its gain is lost.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_RECOMPRESS_H
#define ZSLOT_RECOMPRESS_H

#include "codec.h"
#include "filter.h"
#include "region.h"

struct parts;
struct work;

struct recompress {
    struct codec_choice choice; /* that the bytes are of */
    struct region tried; /* a byte per page of bytes: in RAM or not; then the bytes */
    uint64_t charged_bytes;
};

/* What WORK counts: pages that gained, and bytes by which their objects are shorter.  No more
 * are tried once their objects come to FILTER's bound.  -ENOSPC, -ENOMEM: no RAM for the
 * codec, or for some of the new objects; -ECANCELED. */
int recompress_run(struct parts *parts, struct codec_choice choice,
                   const struct filter *filter, struct work *work);

void recompress_close(struct recompress *recompress);

#endif
