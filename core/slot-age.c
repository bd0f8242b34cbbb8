/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "slot-entry.h"

static struct slot_age age_of(uint64_t meta)
{
    if (STATE_OF(meta) == SLOT_EMPTY)
        return (struct slot_age){.state = SLOT_EMPTY};
    return (struct slot_age){.state = (uint8_t)STATE_OF(meta),
                             .visits = (uint8_t)VISITS_OF(meta),
                             .units = (uint8_t)UNITS_OF(meta),
                             .marks = (uint8_t)MARKS_OF(meta),
                             .codec = (uint8_t)CODEC_OF(meta),
                             .length = (uint16_t)LENGTH_OF(meta)};
}

void slot_look(struct slot_table *table, slot_t slot, struct slot_age *age)
{
    *age = (struct slot_age){.state = SLOT_EMPTY};
    if (!leaf_try_pin(&table->leaves, leaf_of(slot)))
        return;
    *age = age_of(
        atomic_load_explicit(&entry_of(table, slot)->meta, memory_order_relaxed));
    leaf_unpin(&table->leaves, leaf_of(slot));
}

/* Adds one to the field of meta at SHIFT, which goes up to MOST; IDLE from IDLE_FROM
 * on. */
static void add_one(struct slot_table *table, slot_t slot, unsigned shift,
                    unsigned most, unsigned idle_from, struct slot_age *before)
{
    struct slot_content content;

    *before = (struct slot_age){.state = SLOT_EMPTY};
    if (!slot_lock(table, slot, SLOT_INSPECT, &content))
        return;
    if (content.state != SLOT_EMPTY) {
        struct entry *entry = entry_of(table, slot);
        uint64_t meta = entry_meta_locked(entry);
        unsigned now = (unsigned)(meta >> shift) & most;

        *before = age_of(meta);
        if (now < most)
            meta += UINT64_C(1) << shift;
        if (now + 1 >= idle_from)
            meta |= MARK_BITS(SLOT_IDLE);
        entry_store_locked(entry, meta);
    }
    slot_unlock(table, slot);
}

void slot_visit(struct slot_table *table, slot_t slot, struct slot_age *before)
{
    add_one(table, slot, VISITS_SHIFT, SLOT_VISITS_MAX, SLOT_VISITS_MAX, before);
}

void slot_grow_older(struct slot_table *table, slot_t slot, unsigned idle_units,
                     struct slot_age *before)
{
    add_one(table, slot, UNITS_SHIFT, SLOT_UNITS_MAX, idle_units, before);
}

bool slot_mark_idle(struct slot_table *table, slot_t slot, unsigned units)
{
    struct slot_content content;
    bool marked = false;

    if (!slot_lock(table, slot, SLOT_INSPECT, &content))
        return false;
    if (content.state != SLOT_EMPTY && content.units >= units) {
        struct entry *entry = entry_of(table, slot);

        entry_store_locked(entry, entry_meta_locked(entry) | MARK_BITS(SLOT_IDLE));
        marked = true;
    }
    slot_unlock(table, slot);
    return marked;
}
