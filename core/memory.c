/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "memory.h"

#include <assert.h>
#include <errno.h>

#include "gate.h"
#include "lock.h"

void memory_init(struct memory *memory, uint64_t limit_bytes)
{
    atomic_init(&memory->limit_bytes, limit_bytes);
    memory->directory = -1;
    atomic_init(&memory->used_bytes, 0);
    atomic_init(&memory->peak_bytes, 0);
}

int memory_charge(struct memory *memory, uint64_t bytes)
{
    int r = gate(GATE_MEMORY_CHARGE, 0);
    if (r < 0)
        return r;
#ifdef ZSLOT_DEBUG
    assert(!lock_slot_is_held()); /* rule S10 */
#endif

    /* Not add-then-check: the overshoot, even taken back at once, would make another
     * thread's charge fail that has room. */
    uint64_t used = atomic_load_explicit(&memory->used_bytes, memory_order_relaxed);
    uint64_t limit = atomic_load_explicit(&memory->limit_bytes, memory_order_relaxed);
    do {
        if (bytes > limit || used > limit - bytes)
            return -ENOSPC;
    } while (!atomic_compare_exchange_weak_explicit(&memory->used_bytes, &used,
                                                    used + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    used += bytes;

    uint64_t peak = atomic_load_explicit(&memory->peak_bytes, memory_order_relaxed);
    while (peak < used && !atomic_compare_exchange_weak_explicit(
                              &memory->peak_bytes, &peak, used, memory_order_relaxed,
                              memory_order_relaxed))
        ;
    return 0;
}

void memory_uncharge(struct memory *memory, uint64_t bytes)
{
    uint64_t before =
        atomic_fetch_sub_explicit(&memory->used_bytes, bytes, memory_order_relaxed);

    assert(before >= bytes);
    (void)before;
}

uint64_t memory_used_bytes(const struct memory *memory)
{
    return atomic_load_explicit(&memory->used_bytes, memory_order_relaxed);
}
