/* arena.h - memory for the data of requests that are not answered at once
 *
 * Owns:    which blocks of a connection's arena are taken.
 * Called:  by the connection's loop.
 * Locks:   none.
 * Never:   allocates, or gives out more than there is.
 *
 * The lowest blocks that fit are taken, so that a connection with small requests uses only the
 * beginning of its arena again and again, and the rest of it never gets RAM.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_ARENA_H
#define ZSLOT_ARENA_H

#include <stdint.h>

#define ARENA_BLOCK_BYTES 32768u
/* The largest request, and 1 MiB for others beside it. */
#define ARENA_BYTES (33u << 20)
#define ARENA_BLOCKS (ARENA_BYTES / ARENA_BLOCK_BYTES)
/* So much stays in RAM once it was used. */
#define ARENA_KEPT_BYTES (1u << 20)

struct arena {
    uint8_t *base; /* ARENA_BYTES */
    uint8_t taken[ARENA_BLOCKS];
    unsigned taken_count;
};

/* Room for BYTES (at least 1), in a piece.  NULL: there is none now. */
uint8_t *arena_take(struct arena *arena, uint32_t bytes);
void arena_give(struct arena *arena, uint8_t *piece, uint32_t bytes);

#endif
