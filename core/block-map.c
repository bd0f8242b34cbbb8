/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "block-map.h"

#include <string.h>

uint64_t block_map_words(uint32_t blocks)
{
    return (uint64_t)blocks / 64 + 1;
}

uint64_t block_map_some_words(uint32_t blocks)
{
    return block_map_words(blocks) / 64 + 1;
}

bool block_map_has(const struct block_map *map, uint32_t block)
{
    return map->bits[block / 64] >> block % 64 & 1;
}

void block_map_set(struct block_map *map, uint32_t first, uint32_t count)
{
    for (uint32_t block = first; block < first + count; block++) {
        map->bits[block / 64] |= UINT64_C(1) << block % 64;
        map->some[block / 64 / 64] |= UINT64_C(1) << block / 64 % 64;
    }
    map->count += count;
}

void block_map_clear(struct block_map *map, uint32_t first, uint32_t count)
{
    for (uint32_t block = first; block < first + count; block++) {
        uint64_t *word = &map->bits[block / 64];

        *word &= ~(UINT64_C(1) << block % 64);
        if (*word == 0)
            map->some[block / 64 / 64] &= ~(UINT64_C(1) << block / 64 % 64);
    }
    map->count -= count;
}

/* All of them, of a map that is zeroes. */
void block_map_set_all(struct block_map *map, uint32_t blocks)
{
    uint64_t words = block_map_words(blocks);

    memset(map->bits, 0xff, words * sizeof *map->bits);
    map->bits[0] &= ~UINT64_C(1); /* has the header */
    map->bits[words - 1] &= UINT64_MAX >> (63 - blocks % 64);
    for (uint64_t word = 0; word < words; word++)
        if (map->bits[word])
            map->some[word / 64] |= UINT64_C(1) << word % 64;
    map->count = blocks;
}

/* The first bit set at FROM or behind it, or else from the start; there must be one. */
static uint64_t next_bit(const uint64_t *bits, uint64_t words, uint64_t from)
{
    uint64_t word = from / 64, here = bits[word] & UINT64_MAX << from % 64;

    while (here == 0) {
        word = (word + 1) % words;
        here = bits[word];
    }
    return word * 64 + (unsigned)__builtin_ctzll(here);
}

/* The first block at FROM or behind it, or else from the start; there must be one. */
static uint32_t map_next(const struct block_map *map, uint32_t blocks, uint32_t from)
{
    uint64_t here = map->bits[from / 64] & UINT64_MAX << from % 64;

    if (here)
        return from / 64 * 64 + (unsigned)__builtin_ctzll(here);
    uint64_t next = (from / 64 + 1) % block_map_words(blocks);
    uint64_t word = next_bit(map->some, block_map_some_words(blocks), next);
    return (uint32_t)(word * 64 + (unsigned)__builtin_ctzll(map->bits[word]));
}

/* How many bits are set from the first one at the hand or behind it on, MOST at most. */
uint32_t block_map_run(uint32_t blocks, const struct block_map *map, uint32_t most,
                       uint32_t *first)
{
    uint32_t count = 1;

    *first = map_next(map, blocks, map->hand);
    while (count < most && *first + count <= blocks &&
           block_map_has(map, *first + count))
        count++;
    return count;
}

void block_map_move_hand(uint32_t blocks, struct block_map *map, uint32_t to)
{
    map->hand = to <= blocks ? to : 1;
}

/* Clears a run of bits, MOST at most, from the hand on. */
uint32_t block_map_take_run(uint32_t blocks, struct block_map *map, uint32_t most,
                            uint32_t *first)
{
    uint32_t count = block_map_run(blocks, map, most, first);

    block_map_clear(map, *first, count);
    block_map_move_hand(blocks, map, *first + count);
    return count;
}
