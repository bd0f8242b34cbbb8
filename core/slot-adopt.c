/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <errno.h>

#include "slot-entry.h"

/* The locks and marks of a process that is no more. */
#define DEAD_BITS                                                                      \
    (LOCKED | WAITERS | MARK_BITS(SLOT_WRITING) | MARK_BITS(SLOT_FETCHING))

/* Calls FN for the pages of a leaf, and counts them. */
static int walk_leaf(const struct slot_table *table, uint64_t leaf,
                     struct entry *entries, slot_found_fn *fn, void *opaque,
                     unsigned *live, slot_t *slot)
{
    *live = 0;
    for (unsigned i = 0; i < LEAF_SLOTS; i++) {
        uint64_t meta =
            atomic_load_explicit(&entries[i].meta, memory_order_relaxed) & ~DEAD_BITS;
        struct slot_content content = entry_content(&entries[i], meta);

        *slot = leaf * LEAF_SLOTS + i;
        if (!entry_is_legal(meta, content.ref) ||
            (*slot >= table->slots && content.state != SLOT_EMPTY))
            return -EUCLEAN;
        if (content.state == SLOT_EMPTY)
            continue;
        ++*live;
        int r = fn(opaque, *slot, &content);
        if (r < 0)
            return r;
    }
    return 0;
}

int slot_table_survey(const struct slot_table *table, slot_found_fn *fn, void *opaque,
                      slot_t *slot)
{
    const struct region *region = &table->leaves.slots;
    struct entry entries[LEAF_SLOTS];

    for (uint64_t start, end = 0; region_next_content(region, end, &start, &end);)
        for (; start < end; start += PAGE_BYTES) {
            unsigned live;

            /* Not through the mapping, which cannot be used yet (region.h). */
            *slot = start / SLOT_BYTES;
            if (pread(region->fd, entries, PAGE_BYTES, (off_t)start) != PAGE_BYTES)
                return -EIO;
            int r =
                walk_leaf(table, start / PAGE_BYTES, entries, fn, opaque, &live, slot);
            if (r < 0)
                return r;
        }
    return 0;
}

static int adopt_leaf(struct slot_table *table, uint64_t leaf, slot_found_fn *fn,
                      void *opaque, slot_t *slot)
{
    struct entry *entries =
        (struct entry *)table->leaves.slots.base + leaf * LEAF_SLOTS;
    unsigned live;

    for (unsigned i = 0; i < LEAF_SLOTS; i++)
        if (entries[i].meta & DEAD_BITS)
            atomic_fetch_and(&entries[i].meta, ~DEAD_BITS);
    int r = walk_leaf(table, leaf, entries, fn, opaque, &live, slot);
    if (r < 0)
        return r;
    if (live > 0)
        return leaf_adopt(&table->leaves, leaf, live);
    region_clear(&table->leaves.slots, leaf * PAGE_BYTES, PAGE_BYTES);
    return 0;
}

int slot_table_adopt(struct slot_table *table, slot_found_fn *fn, void *opaque,
                     slot_t *slot)
{
    const struct region *region = &table->leaves.slots;

    for (uint64_t start, end = 0; region_next_content(region, end, &start, &end);)
        for (; start < end; start += PAGE_BYTES) {
            int r = adopt_leaf(table, start / PAGE_BYTES, fn, opaque, slot);
            if (r < 0)
                return r;
        }
    return 0;
}
