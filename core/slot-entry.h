/* slot-entry.h - the 16 bytes of a slot: fields, lock, and what is legal in them
 *
 * Owns:    the layout of an entry, which state directories have too (state.h).
 * Called:  by slot.c, slot-age.c and slot-adopt.c, which are slot.h's functions.
 * Locks:   is about one: the bit of an entry.
 * Never:   knows of edges, or why somebody locks.
 *
 * All of it is inline: it is a part of every request.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SLOT_ENTRY_H
#define ZSLOT_SLOT_ENTRY_H

#include <assert.h>
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

#include "lock.h"
#include "slot.h"

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

/* Before a thread sleeps for a lock: longer than a copy of an object takes. */
#define ENTRY_SPINS_MAX 200

static inline struct entry *entry_of(const struct slot_table *table, slot_t slot)
{
    assert(slot < table->slots);
    return (struct entry *)table->leaves.slots.base + slot;
}

static inline uint64_t leaf_of(slot_t slot)
{
    return slot / LEAF_SLOTS;
}

static inline uint64_t entry_ref(const struct entry *entry)
{
    return atomic_load_explicit(&entry->ref, memory_order_relaxed);
}

/* One instruction, or on other machines what passes for one: a process that is killed has
 * stored both words or neither (slot.h, Kills).  False: somebody has set WAITERS. */
static inline bool entry_try_store(struct entry *entry, uint64_t meta, uint64_t ref,
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

/* -- The lock.  The leaf is pinned by whoever calls these. -- */

/* The half of meta that has the lock and all that a waiter waits to see changed. */
static inline uint32_t *entry_futex_word(struct entry *entry)
{
    uint32_t *halves = (uint32_t *)&entry->meta;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return &halves[0];
#else
    return &halves[1];
#endif
}

static inline void entry_futex_wait(struct entry *entry, uint64_t seen)
{
    syscall(SYS_futex, entry_futex_word(entry), FUTEX_WAIT_PRIVATE, (uint32_t)seen,
            NULL, NULL, 0);
}

static inline void entry_futex_wake_all(struct entry *entry)
{
    syscall(SYS_futex, entry_futex_word(entry), FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL,
            0);
}

static inline void entry_pause(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

/* Returns meta as it was, without LOCKED and WAITERS. */
static inline uint64_t entry_lock(struct entry *entry)
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
        if (spins++ < ENTRY_SPINS_MAX)
            entry_pause();
        else if (meta & WAITERS || atomic_compare_exchange_strong_explicit(
                                       &entry->meta, &meta, meta | WAITERS,
                                       memory_order_relaxed, memory_order_relaxed))
            entry_futex_wait(entry, meta | WAITERS);
        meta = atomic_load_explicit(&entry->meta, memory_order_relaxed);
    }
    lock_note_taken(LOCK_RANK_SLOT);
    return meta & ~WAITERS;
}

static inline void entry_note_unlocked(struct entry *entry, uint64_t before)
{
    lock_note_released(LOCK_RANK_SLOT);
    assert(before & LOCKED);
    if (before & WAITERS)
        entry_futex_wake_all(entry);
}

/* Stores META, which says nothing of locks, and wakes who waits for any change. */
static inline void entry_unlock(struct entry *entry, uint64_t meta)
{
    uint64_t before =
        atomic_exchange_explicit(&entry->meta, meta, memory_order_release);

    entry_note_unlocked(entry, before);
}

/* The same with another ref. */
static inline void entry_unlock_with(struct entry *entry, uint64_t meta, uint64_t ref)
{
    uint64_t before, was = entry_ref(entry);

    do
        before = atomic_load_explicit(&entry->meta, memory_order_relaxed);
    while (!entry_try_store(entry, before, was, meta, ref));
    entry_note_unlocked(entry, before);
}

static inline uint64_t entry_meta_locked(struct entry *entry)
{
    return atomic_load_explicit(&entry->meta, memory_order_relaxed) &
           ~(LOCKED | WAITERS);
}

/* Stores META and keeps the lock, also for those who have begun to wait for it. */
static inline void entry_store_locked(struct entry *entry, uint64_t meta)
{
    uint64_t now = atomic_load_explicit(&entry->meta, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(
        &entry->meta, &now, meta | LOCKED | (now & WAITERS), memory_order_relaxed,
        memory_order_relaxed))
        ;
}

/* -- From entries to contents and back. -- */

static inline struct slot_content entry_content(const struct entry *entry,
                                                uint64_t meta)
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
static inline bool entry_is_legal(uint64_t meta, uint64_t ref)
{
    static const uint8_t marks_allowed[SLOT_STATE_COUNT] = {
#define S(name, letter, marks, is, ref) marks,
        SLOT_STATES(S)
#undef S
    };
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

#endif
