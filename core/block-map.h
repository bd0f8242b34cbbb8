/* block-map.h - a bit per block of the backing store
 *
 * Owns:    nothing: its words are the space's.
 * Called:  by space.c, under its lock.
 * Locks:   none.
 * Never:   knows what a bit says of a block.
 *
 * Above the bits is another per word of them that has any set, so that a search is short however large
 * the store.  Block 0 has the store's header, and is in no map.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BLOCK_MAP_H
#define ZSLOT_BLOCK_MAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct block_map {
    uint64_t *bits, *some; /* a bit per block; per word of these that is not zero */
    _Atomic uint32_t count;
    uint32_t hand; /* where the next search begins */
};

/* How many words bits has for so many BLOCKS, and some. */
uint64_t block_map_words(uint32_t blocks);
uint64_t block_map_some_words(uint32_t blocks);

bool block_map_has(const struct block_map *map, uint32_t block);

/* COUNT bits from FIRST on, which are not set, or are. */
void block_map_set(struct block_map *map, uint32_t first, uint32_t count);
void block_map_clear(struct block_map *map, uint32_t first, uint32_t count);

/* All BLOCKS, of a map that is zeroes. */
void block_map_set_all(struct block_map *map, uint32_t blocks);

/* How many bits are set from the first one at the hand or behind it on, MOST at most; there must be
 * one. */
uint32_t block_map_run(uint32_t blocks, const struct block_map *map, uint32_t most,
                       uint32_t *first);

void block_map_move_hand(uint32_t blocks, struct block_map *map, uint32_t to);

/* The same as block_map_run(), clears them, and leaves the hand behind them. */
uint32_t block_map_take_run(uint32_t blocks, struct block_map *map, uint32_t most,
                            uint32_t *first);

#endif
