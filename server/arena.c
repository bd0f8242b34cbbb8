/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "arena.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif

/* With memory-lock the arena is locked as it is used, and MADV_DONTNEED refuses that. */
static void give_back(uint8_t *from, size_t bytes)
{
    if (madvise(from, bytes, MADV_DONTNEED_LOCKED) == 0 ||
        madvise(from, bytes, MADV_DONTNEED) == 0)
        return;
    munlock(from, bytes);
    madvise(from, bytes, MADV_DONTNEED);
    mlock2(from, bytes, MLOCK_ONFAULT);
}

static unsigned blocks_of(uint32_t bytes)
{
    return bytes / ARENA_BLOCK_BYTES + (bytes % ARENA_BLOCK_BYTES > 0);
}

uint8_t *arena_take(struct arena *arena, uint32_t bytes)
{
    unsigned wanted = blocks_of(bytes), run = 0;

    assert(bytes > 0);
    if (wanted > ARENA_BLOCKS - arena->taken_count)
        return NULL;
    for (unsigned i = 0; i < ARENA_BLOCKS; i++) {
        run = arena->taken[i] ? 0 : run + 1;
        if (run < wanted)
            continue;
        unsigned first = i + 1 - wanted;
        memset(arena->taken + first, 1, wanted);
        arena->taken_count += wanted;
        return arena->base + (size_t)first * ARENA_BLOCK_BYTES;
    }
    return NULL;
}

void arena_give(struct arena *arena, uint8_t *piece, uint32_t bytes)
{
    size_t offset = (size_t)(piece - arena->base), count = blocks_of(bytes);
    size_t end = offset + count * ARENA_BLOCK_BYTES;

    memset(arena->taken + offset / ARENA_BLOCK_BYTES, 0, count);
    arena->taken_count -= (unsigned)count;
    if (end > ARENA_KEPT_BYTES) {
        size_t from = offset > ARENA_KEPT_BYTES ? offset : ARENA_KEPT_BYTES;

        give_back(arena->base + from, end - from);
    }
}
