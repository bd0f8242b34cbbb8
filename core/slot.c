/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "slot.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef __SANITIZE_THREAD__
#define HAS_TSAN 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define HAS_TSAN 1
#endif
#endif
#ifdef HAS_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#include "gate.h"
#include "lock.h"

/* The entry.  meta, from bit 0: lock 1, waiters 1, state 3, marks 3, codec 4, length
 *   13, visits 2, units 5, version 32. */
struct entry {
    _Atomic uint64_t meta;
    _Atomic uint64_t ref; /* guarded by the lock bit; without it a hint */
} __attribute__((aligned(16)));
_Static_assert(sizeof(struct entry) == SLOT_BYTES, "a slot is 16 bytes");

#define LOCKED UINT64_C(1)
#define WAITERS UINT64_C(2)
#define STATE_SHIFT 2
#define MARKS_SHIFT 5
#define CODEC_SHIFT 8
#define LENGTH_SHIFT 12
#define VISITS_SHIFT 25
#define UNITS_SHIFT 27
#define VERSION_SHIFT 32
#define FIELD(meta, shift, bits) ((meta) >> (shift)&UINT64_C(0x##bits))
#define STATE_OF(meta) FIELD(meta, STATE_SHIFT, 7)
#define MARKS_OF(meta) FIELD(meta, MARKS_SHIFT, 7)
#define CODEC_OF(meta) FIELD(meta, CODEC_SHIFT, f)
#define LENGTH_OF(meta) FIELD(meta, LENGTH_SHIFT, 1fff)
#define VISITS_OF(meta) FIELD(meta, VISITS_SHIFT, 3)
#define UNITS_OF(meta) FIELD(meta, UNITS_SHIFT, 1f)
#define VERSION_OF(meta) ((uint32_t)((meta) >> VERSION_SHIFT))
#define MARK_BITS(marks) ((uint64_t)(marks) << MARKS_SHIFT)
#define AGE_BITS                                                                       \
    ((uint64_t)SLOT_VISITS_MAX << VISITS_SHIFT | (uint64_t)SLOT_UNITS_MAX              \
                                                     << UNITS_SHIFT)

/* What an access takes off. */
#define COLD_BITS (AGE_BITS | MARK_BITS(SLOT_WRITING) | MARK_BITS(SLOT_IDLE))

/* Before a thread sleeps for a lock: longer than a copy of an object takes. */
#define SPINS_MAX 200

static struct entry *entry_of(const struct slot_table *table, slot_t slot)
{
    assert(slot < table->slots);
    return (struct entry *)table->leaves.slots.base + slot;
}

static uint64_t entry_ref(const struct entry *entry)
{
    return atomic_load_explicit(&entry->ref, memory_order_relaxed);
}

/* One instruction, or on other machines what passes for one: a process that is killed has
 * stored both words or neither (slot.h, Kills).  False: somebody has set WAITERS. */
static bool entry_try_store(struct entry *entry, uint64_t meta, uint64_t ref,
                            uint64_t new_meta, uint64_t new_ref)
{
#ifdef HAS_TSAN
    __tsan_release(&entry->meta); /* it does not see into the instruction */
#endif
#ifdef __x86_64__
    bool stored;

    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(stored), "+m"(*entry), "+a"(meta), "+d"(ref)
                     : "b"(new_meta), "c"(new_ref)
                     : "memory");
    return stored;
#else
    typedef unsigned __int128 both_t;
    union {
        uint64_t words[2]; /* as in memory */
        both_t both;
    } before = {{meta, ref}}, after = {{new_meta, new_ref}};

    return __sync_bool_compare_and_swap((both_t *)(void *)entry, before.both,
                                        after.both);
#endif
}

static uint64_t leaf_of(slot_t slot)
{
    return slot / LEAF_SLOTS;
}

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

/* -- The lock.  The leaf is pinned by whoever calls these. -- */

/* The half of meta that has the lock and all that a waiter waits to see changed. */
static uint32_t *futex_word(struct entry *entry)
{
    uint32_t *halves = (uint32_t *)&entry->meta;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return &halves[0];
#else
    return &halves[1];
#endif
}

static void futex_wait(struct entry *entry, uint64_t seen)
{
    syscall(SYS_futex, futex_word(entry), FUTEX_WAIT_PRIVATE, (uint32_t)seen, NULL,
            NULL, 0);
}

static void futex_wake_all(struct entry *entry)
{
    syscall(SYS_futex, futex_word(entry), FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void spin_pause(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

/* Returns meta as it was, without LOCKED and WAITERS. */
static uint64_t entry_lock(struct entry *entry)
{
    uint64_t meta = atomic_load_explicit(&entry->meta, memory_order_relaxed);

    for (unsigned spins = 0;;) {
        if (!(meta & LOCKED)) {
            if (atomic_compare_exchange_weak_explicit(
                    &entry->meta, &meta, meta | LOCKED, memory_order_acquire,
                    memory_order_relaxed))
                break;
            continue;
        }
        if (spins++ < SPINS_MAX)
            spin_pause();
        else if (meta & WAITERS || atomic_compare_exchange_strong_explicit(
                                       &entry->meta, &meta, meta | WAITERS,
                                       memory_order_relaxed, memory_order_relaxed))
            futex_wait(entry, meta | WAITERS);
        meta = atomic_load_explicit(&entry->meta, memory_order_relaxed);
    }
    lock_note_taken(LOCK_RANK_SLOT);
    return meta & ~WAITERS;
}

static void note_unlocked(struct entry *entry, uint64_t before)
{
    lock_note_released(LOCK_RANK_SLOT);
    assert(before & LOCKED);
    if (before & WAITERS)
        futex_wake_all(entry);
}

/* Stores META, which says nothing of locks, and wakes who waits for any change. */
static void entry_unlock(struct entry *entry, uint64_t meta)
{
    uint64_t before =
        atomic_exchange_explicit(&entry->meta, meta, memory_order_release);

    note_unlocked(entry, before);
}

/* The same with another ref. */
static void entry_unlock_with(struct entry *entry, uint64_t meta, uint64_t ref)
{
    uint64_t before, was = entry_ref(entry);

    do
        before = atomic_load_explicit(&entry->meta, memory_order_relaxed);
    while (!entry_try_store(entry, before, was, meta, ref));
    note_unlocked(entry, before);
}

static uint64_t entry_meta_locked(struct entry *entry)
{
    return atomic_load_explicit(&entry->meta, memory_order_relaxed) &
           ~(LOCKED | WAITERS);
}

/* Stores META and keeps the lock, also for those who have begun to wait for it. */
static void entry_store_locked(struct entry *entry, uint64_t meta)
{
    uint64_t now = atomic_load_explicit(&entry->meta, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(
        &entry->meta, &now, meta | LOCKED | (now & WAITERS), memory_order_relaxed,
        memory_order_relaxed))
        ;
}

/* -- From entries to contents and back. -- */

static const uint8_t marks_allowed[SLOT_STATE_COUNT] = {
#define S(name, letter, marks, is, ref) marks,
    SLOT_STATES(S)
#undef S
};

static struct slot_content content_of(const struct entry *entry, uint64_t meta)
{
    return (struct slot_content){
        .state = (uint8_t)STATE_OF(meta),
        .codec = (uint8_t)CODEC_OF(meta),
        .length = (uint16_t)LENGTH_OF(meta),
        .units = (uint8_t)UNITS_OF(meta),
        .ref = entry_ref(entry),
    };
}

/* Whether a state may have this length and ref: what slot_check() looks at and every
 * edge must leave behind. */
static bool is_legal(uint64_t meta, uint64_t ref)
{
    uint64_t state = STATE_OF(meta), length = LENGTH_OF(meta);

    if (state >= SLOT_STATE_COUNT || MARKS_OF(meta) & ~(uint64_t)marks_allowed[state])
        return false;
    switch ((enum slot_state)state) {
    case SLOT_EMPTY:
        return ref == 0 && length == 0 && CODEC_OF(meta) == 0;
    case SLOT_SAME:
        return ref != 0 && length == 0 && CODEC_OF(meta) == 0;
    case SLOT_COMPRESSED:
        return length > 0 && length < PAGE_BYTES && CODEC_OF(meta) != 0;
    case SLOT_HUGE:
        return length == PAGE_BYTES && CODEC_OF(meta) == 0;
    case SLOT_STORED:
        return length > 0 && length <= PAGE_BYTES &&
               (CODEC_OF(meta) == 0) == (length == PAGE_BYTES);
    case SLOT_STATE_COUNT:
        break;
    }
    return false;
}

/* An edge: NEW takes the place of what a locked slot has, and the slot is unlocked; the
 * old content is returned, the age and marks start anew, but for what EXTRA says. */
static void switch_locked(struct slot_table *table, slot_t slot, uint64_t meta,
                          uint64_t extra, const struct slot_content *new,
                          struct slot_content *old)
{
    struct entry *entry = entry_of(table, slot);

    *old = content_of(entry, meta);
    meta = (uint64_t) new->state << STATE_SHIFT | (uint64_t) new->codec << CODEC_SHIFT |
           (uint64_t) new->length << LENGTH_SHIFT |
           (uint64_t)(VERSION_OF(meta) + 1) << VERSION_SHIFT | extra;
    assert(is_legal(meta, new->ref));
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
    *content = content_of(entry, meta);
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
        .content = content_of(entry, meta),
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
    struct slot_content content = content_of(entry, meta);

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

void slot_wait_locked(struct slot_table *table, slot_t slot)
{
    struct entry *entry = entry_of(table, slot);
    uint64_t waiting = entry_meta_locked(entry) | WAITERS;
    uint64_t before =
        atomic_exchange_explicit(&entry->meta, waiting, memory_order_release);

    lock_note_released(LOCK_RANK_SLOT);
    assert(before & LOCKED);
    if (before & WAITERS)
        futex_wake_all(entry); /* among them are some who wait for the lock only */
    futex_wait(entry, waiting);
    leaf_unpin(&table->leaves, leaf_of(slot));
}

/* -- Ages. -- */

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

/* -- What a former process left. -- */

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
        struct slot_content content = content_of(&entries[i], meta);

        *slot = leaf * LEAF_SLOTS + i;
        if (!is_legal(meta, content.ref) ||
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

/* -- Checks. -- */

int slot_check(struct slot_table *table, slot_t slot)
{
    struct slot_content content;

    if (!slot_lock(table, slot, SLOT_INSPECT, &content))
        return 0;
    struct entry *entry = entry_of(table, slot);
    bool legal = is_legal(entry_meta_locked(entry), entry_ref(entry));
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

const char *slot_state_name(enum slot_state state)
{
    static const char *const names[SLOT_STATE_COUNT] = {
#define S(name, letter, marks, is, ref) #name,
        SLOT_STATES(S)
#undef S
    };
    return names[state];
}
