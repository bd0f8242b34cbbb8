/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "check.h"

#include <errno.h>
#include <inttypes.h>

#include "block-format.h"
#include "cleanup.h"
#include "space.h"
#include "writeback.h"

struct tally {
    uint64_t pages, same, huge, objects, object_bytes, leaves;
    uint64_t compressed;
    uint64_t stored, stored_bytes; /* bytes as they are in segments */
};

static int check_slot(struct parts *parts, slot_t slot, struct tally *tally,
                      struct reason *reason)
{
    struct slot_content content;

    if (slot_check(&parts->slots, slot) < 0)
        return reason_say(reason, -EUCLEAN, "slot %" PRIu64 ": illegal entry", slot);
    if (!slot_lock(&parts->slots, slot, SLOT_INSPECT, &content))
        return 0;
    slot_unlock(&parts->slots, slot);

    tally->pages += content.state != SLOT_EMPTY;
    tally->same += content.state == SLOT_SAME;
    tally->huge += content.state == SLOT_HUGE;
    tally->compressed += content.state == SLOT_COMPRESSED;
    if (content.state == SLOT_STORED) {
        struct object_place place =
            address_place((address_t){content.ref}, content.length);

        tally->stored++;
        tally->stored_bytes += place.bytes + place.rest_bytes;
    }
    if (!slot_content_is_resident(&content))
        return 0;
    tally->objects++;
    tally->object_bytes += content.length;
    /* Owners are unique per place: two slots with one handle cannot both pass. */
    if (!pool_is_object(&parts->pool, (handle_t){content.ref}, content.length,
                        (uint32_t)slot))
        return reason_say(reason, -EUCLEAN,
                          "slot %" PRIu64 ": handle %#" PRIx64
                          " is not an object of it",
                          slot, content.ref);
    return 0;
}

static int check_count(const char *what, uint64_t is, uint64_t should,
                       struct reason *reason)
{
    if (is == should)
        return 0;
    return reason_say(reason, -EUCLEAN, "%s: %" PRIu64 ", but the slots say %" PRIu64,
                      what, is, should);
}

/* What the volume should have been charged, from what there is. */
static uint64_t charged_bytes(struct parts *parts, const struct tally *tally)
{
    uint64_t bytes = context_set_charged_bytes(&parts->contexts) +
                     parts->recompress.charged_bytes +
                     parts->slots.leaves.directory.bytes + tally->leaves * PAGE_BYTES;
    struct span_table *spans = &parts->pool.table;

    if (parts->writeback)
        bytes += writeback_fixed_bytes(parts->writeback);
    bytes += span_descriptor_pages(spans->high) * PAGE_BYTES;
    for (uint32_t n = 0; n < spans->high; n++)
        bytes += (uint64_t)span_at(spans, n)->pages * PAGE_BYTES;
    return bytes;
}

int check_parts(struct parts *parts, struct reason *reason)
{
    /* What evictions leave is compacted at any time. */
    LOCK_FOR_SCOPE(&parts->compact_lock);
    struct tally tally = {0};
    int r;

    for (slot_t slot = 0;
         (slot = slot_next_present(&parts->slots, slot, parts->slots.slots)) <
         parts->slots.slots;) {
        uint64_t leaf = slot / LEAF_SLOTS, before = tally.pages;

        tally.leaves++;
        for (; slot < parts->slots.slots && slot / LEAF_SLOTS == leaf; slot++)
            if ((r = check_slot(parts, slot, &tally, reason)) < 0)
                return r;
        if ((r = check_count("live pages of a leaf",
                             leaf_live(&parts->slots.leaves, leaf),
                             tally.pages - before, reason)) < 0)
            return r;
    }

    uint64_t live_bytes = 0;
    if (parts->writeback)
        live_bytes = writeback_space(parts->writeback)->live_bytes;
    const struct {
        const char *what;
        uint64_t is, should;
    } counts[] = {
        {"objects in the pool", pool_objects(&parts->pool), tally.objects},
        {"orig_data_size",
         (uint64_t)context_set_sum(&parts->contexts, STAT_orig_data_size),
         tally.pages * PAGE_BYTES},
        {"compr_data_size",
         (uint64_t)context_set_sum(&parts->contexts, STAT_compr_data_size),
         tally.object_bytes},
        {"same_pages", (uint64_t)context_set_sum(&parts->contexts, STAT_same_pages),
         tally.same},
        {"huge_pages", (uint64_t)context_set_sum(&parts->contexts, STAT_huge_pages),
         tally.huge},
        {"compressed_pages",
         (uint64_t)context_set_sum(&parts->contexts, STAT_compressed_pages),
         tally.compressed},
        {"bd_count", (uint64_t)context_set_sum(&parts->contexts, STAT_bd_count),
         tally.stored},
        {"live bytes on the backing store", live_bytes, tally.stored_bytes},
        {"mem_used_total", memory_used_bytes(&parts->memory),
         charged_bytes(parts, &tally)},
    };
    for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++)
        if ((r = check_count(counts[i].what, counts[i].is, counts[i].should, reason)) <
            0)
            return r;
    if (parts->writeback && (r = writeback_check(parts->writeback)) < 0)
        return reason_say(reason, r, "the account of the backing store is wrong");
    return 0;
}
