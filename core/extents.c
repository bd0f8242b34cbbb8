/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "extents.h"

#include "page.h"

int extents_walk(struct parts *parts, uint64_t offset, uint64_t bytes, extents_fn *fn,
                 void *opaque)
{
    slot_t slot = offset / PAGE_BYTES;
    slot_t end = (offset + bytes + PAGE_BYTES - 1) / PAGE_BYTES;
    uint64_t at = offset;

    while (slot < end) {
        bool hole;

        slot += slot_run(&parts->slots, slot, end - slot, &hole);
        int r = fn(opaque, at, slot * PAGE_BYTES - at, hole);
        if (r != 0)
            return r < 0 ? r : 0;
        at = slot * PAGE_BYTES;
    }
    return 0;
}
