/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "trim.h"

#include "compact.h"
#include "page.h"
#include "write.h"

static void clear_slots(struct parts *parts, slot_t slot, slot_t end)
{
    while ((slot = slot_next_present(&parts->slots, slot, end)) < end) {
        slot_t first = slot, stop = (slot / LEAF_SLOTS + 1) * LEAF_SLOTS;
        struct context *context = context_take(&parts->contexts);

        for (; slot < stop && slot < end; slot++)
            write_empty(parts, context, slot);
        compact_a_little(parts, context);
        context_give(&parts->contexts, context);
        slot_free_leaf(&parts->slots, first);
    }
}

void trim_range(struct parts *parts, uint64_t offset, uint64_t bytes)
{
    slot_t slot = (offset + PAGE_BYTES - 1) / PAGE_BYTES;
    slot_t end = (offset + bytes) / PAGE_BYTES;

    if (slot < end)
        clear_slots(parts, slot, end);
}

/* A partial page of zeroes. */
static int zero_part(struct parts *parts, uint64_t offset, uint64_t end,
                     struct write_terms *terms)
{
    slot_t slot = offset / PAGE_BYTES;
    bool empty;

    if (slot_run(&parts->slots, slot, 1, &empty) && empty)
        return 0; /* nothing to merge with, and no RAM to be had for it */

    return write_part(parts, slot, (uint32_t)(offset % PAGE_BYTES),
                      (uint32_t)(end - offset), NULL, terms);
}

int trim_zero(struct parts *parts, uint64_t offset, uint64_t bytes)
{
    struct write_terms terms = WRITE_WAITS;
    uint64_t end = offset + bytes;
    uint64_t whole = page_round_up(offset);
    uint64_t whole_end = end / PAGE_BYTES * PAGE_BYTES;

    if (whole > whole_end) /* both ends in one page, and neither at its edge */
        return zero_part(parts, offset, end, &terms);

    trim_range(parts, offset, bytes);
    int head = offset < whole ? zero_part(parts, offset, whole, &terms) : 0;
    int tail = whole_end < end ? zero_part(parts, whole_end, end, &terms) : 0;
    return head < 0 ? head : tail;
}
