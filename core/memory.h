/* memory.h - the volume's account of its RAM
 *
 * Owns:    one number, the bytes in use, and its limit and peak.
 * Called:  by request threads, at the same time.
 * Locks:   none; the number is atomic.
 * Never:   touches the memory it counts.
 *
 * Everything that the volume keeps in RAM is charged here before it is touched: the
 * pool's OS pages, the slot table's, indexes, codec contexts.  A charge that would pass
 * the limit fails and changes nothing, so the limit holds at every instant, not on
 * average.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_MEMORY_H
#define ZSLOT_MEMORY_H

#include <stdatomic.h>
#include <stdint.h>

struct memory {
    _Atomic uint64_t
        limit_bytes; /* UINT64_MAX: none; may be lowered below what is used */
    _Atomic uint64_t used_bytes;
    _Atomic uint64_t peak_bytes; /* the most used_bytes ever was */
    int directory; /* where shared regions are files (state.h); -1: they have no names */
};

void memory_init(struct memory *memory, uint64_t limit_bytes);

/* 0, or -ENOSPC when BYTES more would pass the limit. */
int memory_charge(struct memory *memory, uint64_t bytes);

void memory_uncharge(struct memory *memory, uint64_t bytes);

uint64_t memory_used_bytes(const struct memory *memory);

#endif
