/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "slot.h"

#include <assert.h>
#include <errno.h>

#include "gate.h"
#include "slot-entry.h"

/* What an access takes off. */
#define COLD_BITS (AGE_BITS | MARK_BITS(SLOT_WRITING) | MARK_BITS(SLOT_IDLE))

int slot_table_open(struct slot_table *table, slot_t slots, struct memory *memory,
                    bool lock_in_ram)
{
    table->slots = slots;
    return leaf_table_open(&table->leaves, (slots + LEAF_SLOTS - 1) / LEAF_SLOTS,
                           memory, lock_in_ram);
}

int slot_table_start(struct slot_table *table)
{
    return leaf_table_start(&table->leaves);
}

void slot_table_close(struct slot_table *table)
{
    leaf_table_close(&table->leaves);
}

uint64_t slot_table_fixed_bytes(slot_t slots)
{
    return leaf_table_fixed_bytes((slots + LEAF_SLOTS - 1) / LEAF_SLOTS);
}

/* -- Edges, tickets: what they have in common. -- */

/* An edge: NEW takes the place of what a locked slot has, and the slot is unlocked; the
 * old content is returned, the age and marks start anew, but for what EXTRA says. */
static void switch_locked(struct slot_table *table, slot_t slot, uint64_t meta,
                          uint64_t extra, const struct slot_content *new,
                          struct slot_content *old)
{
    struct entry *entry = entry_of(table, slot);

    *old = entry_content(entry, meta);
    meta = (uint64_t) new->state << STATE_SHIFT | (uint64_t) new->codec << CODEC_SHIFT |
           (uint64_t) new->length << LENGTH_SHIFT |
           (uint64_t)(VERSION_OF(meta) + 1) << VERSION_SHIFT | extra;
    assert(entry_is_legal(meta, new->ref));
    int change = (new->state != SLOT_EMPTY) - (old->state != SLOT_EMPTY);
    if (change)
        leaf_count(&table->leaves, leaf_of(slot), change);
    entry_unlock_with(entry, meta, new->ref);
}

static bool ticket_holds(const struct slot_ticket *ticket, const struct entry *entry,
                         uint64_t meta)
{
    return ticket->version == VERSION_OF(meta) &&
           ticket->content.state == STATE_OF(meta) &&
           ticket->content.ref == entry_ref(entry);
}

/* -- Looking. -- */

static void lock_pinned(struct slot_table *table, slot_t slot,
                        enum slot_purpose purpose, struct slot_content *content)
{
    struct entry *entry = entry_of(table, slot);
    uint64_t meta = entry_lock(entry);

    /* A store only when there is something to change: most accesses find a warm
     * slot. */
    if (purpose == SLOT_ACCESS && meta & COLD_BITS && STATE_OF(meta) != SLOT_STORED)
        entry_store_locked(entry, meta & ~COLD_BITS);
    *content = entry_content(entry, meta);
}

bool slot_lock(struct slot_table *table, slot_t slot, enum slot_purpose purpose,
               struct slot_content *content)
{
    if (!leaf_try_pin(&table->leaves, leaf_of(slot))) {
        *content = (struct slot_content){.state = SLOT_EMPTY};
        return false;
    }
    lock_pinned(table, slot, purpose, content);
    return true;
}

int slot_lock_made(struct slot_table *table, slot_t slot, enum slot_purpose purpose,
                   struct slot_content *content)
{
    int r = leaf_pin(&table->leaves, leaf_of(slot));

    if (r < 0)
        return r;
    lock_pinned(table, slot, purpose, content);
    return 0;
}

void slot_unlock(struct slot_table *table, slot_t slot)
{
    struct entry *entry = entry_of(table, slot);

    entry_unlock(entry, entry_meta_locked(entry));
    leaf_unpin(&table->leaves, leaf_of(slot));
}

slot_t slot_run(struct slot_table *table, slot_t slot, slot_t count, bool *empty)
{
    slot_t at = slot, end = slot + count;

    while (at < end) {
        slot_t stop = (leaf_of(at) + 1) * LEAF_SLOTS;
        if (stop > end)
            stop = end;

        if (!leaf_try_pin(&table->leaves, leaf_of(at))) {
            if (at == slot)
                *empty = true;
            else if (!*empty)
                break;
            at = stop;
            continue;
        }
        if (at == slot)
            *empty = STATE_OF(atomic_load(&entry_of(table, at)->meta)) == SLOT_EMPTY;
        slot_t from = at;
        while (at < stop && (STATE_OF(atomic_load(&entry_of(table, at)->meta)) ==
                             SLOT_EMPTY) == *empty)
            at++;
        leaf_unpin(&table->leaves, leaf_of(from));
        if (at < stop)
            break;
    }
    /* The first was looked at twice and may have changed between: it counts as it
     * was. */
    return at > slot ? at - slot : 1;
}

slot_t slot_next_present(const struct slot_table *table, slot_t slot, slot_t end)
{
    while (slot < end && !leaf_is_present(&table->leaves, leaf_of(slot)))
        slot = (leaf_of(slot) + 1) * LEAF_SLOTS;
    return slot < end ? slot : end;
}

unsigned slot_marks_locked(struct slot_table *table, slot_t slot)
{
    return (unsigned)MARKS_OF(entry_meta_locked(entry_of(table, slot)));
}

void slot_touch_locked(struct slot_table *table, slot_t slot)
{
    struct entry *entry = entry_of(table, slot);

    entry_store_locked(entry, entry_meta_locked(entry) & ~COLD_BITS);
}

/* -- Tickets. -- */

void slot_ticket_take_locked(struct slot_table *table, slot_t slot,
                             struct slot_ticket *ticket)
{
    struct entry *entry = entry_of(table, slot);
    uint64_t meta = entry_meta_locked(entry);

    *ticket = (struct slot_ticket){
        .slot = slot,
        .version = VERSION_OF(meta),
        .content = entry_content(entry, meta),
    };
    leaf_pin_again(&table->leaves, leaf_of(slot));
}

void slot_ticket_close(struct slot_table *table, const struct slot_ticket *ticket)
{
    leaf_unpin(&table->leaves, leaf_of(ticket->slot));
}

/* -- A write to come. -- */

void slot_prefetch(const struct slot_table *table, slot_t slot)
{
    __builtin_prefetch(entry_of(table, slot), 1);
}

bool slot_try_pin(struct slot_table *table, slot_t slot, uint64_t *ref)
{
    if (!leaf_try_pin(&table->leaves, leaf_of(slot)))
        return false;
    *ref = entry_ref(entry_of(table, slot));
    return true;
}

void slot_unpin(struct slot_table *table, slot_t slot)
{
    leaf_unpin(&table->leaves, leaf_of(slot));
}

/* -- Edges. -- */

void slot_put_pinned(struct slot_table *table, slot_t slot,
                     const struct slot_content *new, struct slot_content *old)
{
    assert(new->state != SLOT_EMPTY &&new->state != SLOT_STORED);

    switch_locked(table, slot, entry_lock(entry_of(table, slot)), 0, new, old);
    (void)gate(GATE_EDGE_DONE, slot);
}

int slot_put(struct slot_table *table, slot_t slot, const struct slot_content *new,
             struct slot_content *old)
{
    int r = leaf_pin(&table->leaves, leaf_of(slot));
    if (r < 0)
        return r;

    slot_put_pinned(table, slot, new, old);
    leaf_unpin(&table->leaves, leaf_of(slot));
    return 0;
}

void slot_clear(struct slot_table *table, slot_t slot, struct slot_content *old)
{
    static const struct slot_content empty = {.state = SLOT_EMPTY};

    *old = empty;
    if (!leaf_try_pin(&table->leaves, leaf_of(slot)))
        return;

    uint64_t meta = entry_lock(entry_of(table, slot));
    /* EMPTY to EMPTY is an edge too: a partial write must see that it was trimmed. */
    switch_locked(table, slot, meta, 0, &empty, old);
    (void)gate(GATE_EDGE_DONE, slot);
    leaf_unpin(&table->leaves, leaf_of(slot));
}

/* The edge of a ticket, for slots that have all of MARKS; the bits of meta in KEEP
 * stay, those in SET are set. */
static int switch_if(struct slot_table *table, const struct slot_ticket *ticket,
                     unsigned marks, uint64_t keep, uint64_t set,
                     const struct slot_content *new, struct slot_content *old)
{
    uint64_t leaf = leaf_of(ticket->slot);
    leaf_pin_again(&table->leaves, leaf);

    struct entry *entry = entry_of(table, ticket->slot);
    uint64_t meta = entry_lock(entry);
    if (!ticket_holds(ticket, entry, meta) || (MARKS_OF(meta) & marks) != marks) {
        entry_unlock(entry, meta);
        leaf_unpin(&table->leaves, leaf);
        return -ESTALE;
    }
    switch_locked(table, ticket->slot, meta, (meta & keep) | set, new, old);
    (void)gate(GATE_EDGE_DONE, ticket->slot);
    leaf_unpin(&table->leaves, leaf);
    return 0;
}

int slot_put_if(struct slot_table *table, const struct slot_ticket *ticket,
                const struct slot_content *new, struct slot_content *old)
{
    assert(new->state != SLOT_EMPTY &&new->state != SLOT_STORED);
    return switch_if(table, ticket, 0, 0, 0, new, old);
}

int slot_clear_if(struct slot_table *table, const struct slot_ticket *ticket,
                  struct slot_content *old)
{
    static const struct slot_content empty = {.state = SLOT_EMPTY};

    return switch_if(table, ticket, 0, 0, 0, &empty, old);
}

void slot_free_leaf(struct slot_table *table, slot_t slot)
{
    leaf_free(&table->leaves, leaf_of(slot));
}

uint64_t slot_free_leaves(struct slot_table *table)
{
    uint64_t freed = 0;

    for (uint64_t leaf = 0; leaf < table->leaves.leaves; leaf++)
        if (leaf_is_present(&table->leaves, leaf) &&
            leaf_live(&table->leaves, leaf) == 0) {
            leaf_free(&table->leaves, leaf);
            freed += !leaf_is_present(&table->leaves, leaf);
        }
    return freed;
}

void slot_move_locked(struct slot_table *table, slot_t slot, uint64_t handle)
{
    struct entry *entry = entry_of(table, slot);
    uint64_t meta = entry_meta_locked(entry);

    assert(STATE_OF(meta) == SLOT_COMPRESSED || STATE_OF(meta) == SLOT_HUGE);
    assert(!(MARKS_OF(meta) & SLOT_WRITING));
    /* By itself: with the old version or the new one the entry is right. */
    atomic_store_explicit(&entry->ref, handle, memory_order_relaxed);
    entry_store_locked(entry, meta + (UINT64_C(1) << VERSION_SHIFT));
}

int slot_begin_writing_locked(struct slot_table *table, slot_t slot,
                              struct slot_ticket *ticket)
{
    struct entry *entry = entry_of(table, slot);
    uint64_t meta = entry_meta_locked(entry);
    struct slot_content content = entry_content(entry, meta);

    if (!slot_content_is_resident(&content) || MARKS_OF(meta) & SLOT_WRITING)
        return -EAGAIN;
    slot_ticket_take_locked(table, slot, ticket);
    entry_store_locked(entry, meta | MARK_BITS(SLOT_WRITING));
    return 0;
}

int slot_commit(struct slot_table *table, const struct slot_ticket *ticket,
                uint64_t address, struct slot_content *old)
{
    const struct slot_content stored = {
        .state = SLOT_STORED,
        .codec = ticket->content.codec,
        .length = ticket->content.length,
        .ref = address,
    };

    /* Idle until it is wanted again: by that a second fetch is told from the first. */
    return switch_if(table, ticket, SLOT_WRITING, AGE_BITS, MARK_BITS(SLOT_IDLE),
                     &stored, old);
}

int slot_relocate(struct slot_table *table, const struct slot_ticket *ticket,
                  uint64_t address, struct slot_content *old)
{
    struct slot_content moved = ticket->content;

    moved.ref = address;
    return switch_if(table, ticket, 0, AGE_BITS | MARK_BITS(SLOT_IDLE), 0, &moved, old);
}

int slot_replace(struct slot_table *table, const struct slot_ticket *ticket,
                 const struct slot_content *new, struct slot_content *old)
{
    assert(new->state == SLOT_COMPRESSED);
    return switch_if(table, ticket, 0, AGE_BITS | MARK_BITS(SLOT_IDLE), 0, new, old);
}

void slot_abort_writing(struct slot_table *table, const struct slot_ticket *ticket)
{
    struct slot_content now;

    if (!slot_lock(table, ticket->slot, SLOT_INSPECT, &now))
        return;
    struct entry *entry = entry_of(table, ticket->slot);
    uint64_t meta = entry_meta_locked(entry);
    if (ticket_holds(ticket, entry, meta))
        entry_store_locked(entry, meta & ~MARK_BITS(SLOT_WRITING));
    slot_unlock(table, ticket->slot);
}

void slot_begin_fetching_locked(struct slot_table *table, slot_t slot,
                                struct slot_ticket *ticket)
{
    struct entry *entry = entry_of(table, slot);
    uint64_t meta = entry_meta_locked(entry);

    assert(STATE_OF(meta) == SLOT_STORED);
    assert(!(MARKS_OF(meta) & SLOT_FETCHING));
    slot_ticket_take_locked(table, slot, ticket);
    entry_store_locked(entry, meta | MARK_BITS(SLOT_FETCHING));
}

int slot_end_fetching(struct slot_table *table, const struct slot_ticket *ticket)
{
    struct slot_content now;
    int r = -ESTALE;

    if (!slot_lock(table, ticket->slot, SLOT_INSPECT, &now))
        return r;
    struct entry *entry = entry_of(table, ticket->slot);
    uint64_t meta = entry_meta_locked(entry);
    if (ticket_holds(ticket, entry, meta)) {
        entry_store_locked(entry, meta & ~MARK_BITS(SLOT_FETCHING));
        r = 0;
    }
    slot_unlock(table, ticket->slot);
    return r;
}

/* -- Checks. -- */

int slot_check(struct slot_table *table, slot_t slot)
{
    struct slot_content content;

    if (!slot_lock(table, slot, SLOT_INSPECT, &content))
        return 0;
    struct entry *entry = entry_of(table, slot);
    bool legal = entry_is_legal(entry_meta_locked(entry), entry_ref(entry));
    slot_unlock(table, slot);
    return legal ? 0 : -EUCLEAN;
}

char slot_state_letter(enum slot_state state)
{
    static const char letters[SLOT_STATE_COUNT] = {
#define S(name, letter, marks, is, ref) letter,
        SLOT_STATES(S)
#undef S
    };
    return letters[state];
}
