/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "leaf.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>

#include "gate.h"

/* A directory word: live pages, state, pins. */
#define LIVE_ONE 1u
#define LIVE_MASK 0x1ffu
#define STATE_ABSENT 0u
#define STATE_BUSY 0x200u
#define STATE_PRESENT 0x400u
#define STATE_MASK 0x600u
#define PIN_ONE 0x800u
#define PIN_MASK 0xfffff800u

typedef _Atomic uint32_t word_t;

static word_t *word_of(const struct leaf_table *table, uint64_t leaf)
{
    assert(leaf < table->leaves);
    return (word_t *)table->directory.base + leaf;
}

static uint64_t directory_bytes(uint64_t leaves)
{
    return page_round_up(leaves * sizeof(word_t));
}

uint64_t leaf_table_fixed_bytes(uint64_t leaves)
{
    return directory_bytes(leaves);
}

int leaf_table_open(struct leaf_table *table, uint64_t leaves, struct memory *memory,
                    bool lock_in_ram)
{
    table->leaves = leaves;
    int r = region_open(&table->slots, REGION_SHARED, "zslot-slots",
                        leaves * PAGE_BYTES, memory, lock_in_ram);
    if (r < 0)
        return r;
    r = region_open(&table->directory, REGION_PRIVATE, "zslot-leaves",
                    directory_bytes(leaves), memory, lock_in_ram);
    if (r < 0)
        region_close(&table->slots);
    return r;
}

int leaf_table_start(struct leaf_table *table)
{
    int r = region_start(&table->slots);
    if (r < 0)
        return r;
    r = region_start(&table->directory);
    if (r < 0)
        return r;
    return region_commit(&table->directory, 0, table->directory.bytes);
}

void leaf_table_close(struct leaf_table *table)
{
    region_close(&table->slots);
    region_close(&table->directory);
}

bool leaf_try_pin(struct leaf_table *table, uint64_t leaf)
{
    word_t *word = word_of(table, leaf);
    uint32_t now = atomic_load_explicit(word, memory_order_acquire);

    /* BUSY is as good as absent: a leaf being made has no page yet, one being freed has
     * no page any more. */
    while ((now & STATE_MASK) == STATE_PRESENT)
        if (atomic_compare_exchange_weak_explicit(
                word, &now, now + PIN_ONE, memory_order_acquire, memory_order_acquire))
            return true;
    return false;
}

/* The state is ours to change while BUSY; others may not even pin. */
static void become(word_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

int leaf_pin(struct leaf_table *table, uint64_t leaf)
{
    word_t *word = word_of(table, leaf);

    while (!leaf_try_pin(table, leaf)) {
        uint32_t absent = STATE_ABSENT;

        if (!atomic_compare_exchange_strong_explicit(word, &absent, STATE_BUSY,
                                                     memory_order_acquire,
                                                     memory_order_relaxed)) {
            sched_yield(); /* somebody makes or frees it: one system call of his */
            continue;
        }
        int r = gate(GATE_LEAF_MAKE, leaf * LEAF_SLOTS);
        if (r == 0)
            r = region_commit(&table->slots, leaf * PAGE_BYTES, PAGE_BYTES);
        become(word, r < 0 ? STATE_ABSENT : STATE_PRESENT | PIN_ONE);
        return r;
    }
    return 0;
}

void leaf_pin_again(struct leaf_table *table, uint64_t leaf)
{
    atomic_fetch_add_explicit(word_of(table, leaf), PIN_ONE, memory_order_relaxed);
}

void leaf_unpin(struct leaf_table *table, uint64_t leaf)
{
    uint32_t before =
        atomic_fetch_sub_explicit(word_of(table, leaf), PIN_ONE, memory_order_release);

    assert(before & PIN_MASK);
    (void)before;
}

void leaf_count(struct leaf_table *table, uint64_t leaf, int change)
{
    uint32_t before = atomic_fetch_add_explicit(word_of(table, leaf), (uint32_t)change,
                                                memory_order_relaxed);

    assert(before & PIN_MASK);
    assert((before & LIVE_MASK) + (uint32_t)change <= LEAF_SLOTS);
    (void)before;
}

int leaf_adopt(struct leaf_table *table, uint64_t leaf, unsigned live)
{
    int r = region_adopt(&table->slots, leaf * PAGE_BYTES, PAGE_BYTES);

    if (r == 0)
        become(word_of(table, leaf), STATE_PRESENT | live);
    return r;
}

void leaf_free(struct leaf_table *table, uint64_t leaf)
{
    word_t *word = word_of(table, leaf);
    uint32_t empty = STATE_PRESENT; /* no live page, no pin */

    if (atomic_load_explicit(word, memory_order_relaxed) != empty)
        return;
    gate(GATE_LEAF_FREE, leaf * LEAF_SLOTS);
    if (!atomic_compare_exchange_strong_explicit(
            word, &empty, STATE_BUSY, memory_order_acquire, memory_order_relaxed))
        return;
    region_release(&table->slots, leaf * PAGE_BYTES, PAGE_BYTES);
    become(word, STATE_ABSENT);
}

bool leaf_is_present(const struct leaf_table *table, uint64_t leaf)
{
    uint32_t now = atomic_load_explicit(word_of(table, leaf), memory_order_acquire);

    return (now & STATE_MASK) == STATE_PRESENT;
}

unsigned leaf_live(const struct leaf_table *table, uint64_t leaf)
{
    return atomic_load_explicit(word_of(table, leaf), memory_order_acquire) & LIVE_MASK;
}
