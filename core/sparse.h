/* sparse.h - finds the blocks that are the least to move for the room that comes of it
 *
 * Owns:    the walk through the backing store.
 * Called:  by the cleaner, in the writeback thread.
 * Locks:   none.
 * Never:   reads a block, or knows what is live in it: it goes by the account of space.h.
 *
 * Where objects are split, blocks are weighed in groups of neighbours.  For the part of such
 * an object that is in a block the whole of it is moved.  Of neighbours most parts have their
 * other part among them, and only those at either end cost more than they show: block by
 * block, a store that is 80 % full is moved about and nothing comes free.  The smaller the
 * groups, the more they differ, and the less is moved for the best of them; when none is worth
 * it in the whole store, larger ones are looked for.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SPARSE_H
#define ZSLOT_SPARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "space.h"

/* A search that may take fewer blocks may find no room for a single group. */
#define SPARSE_MOST_MIN 48u

struct sparse {
    const struct space *space;
    bool splits;              /* as the last search was to be done */
    uint32_t group;           /* blocks in one, where objects are split */
    uint32_t hand;            /* where the search for the next begins */
    uint64_t looked_at;       /* blocks in vain, since any were found, */
    uint64_t looked_released; /* or much was released after so many bytes */
};

void sparse_init(struct sparse *sparse, const struct space *space);

/* How it is to be done. */
struct sparse_terms {
    unsigned most; /* blocks, with those that have other parts of their objects */
    bool splits;   /* what is moved is split anew, and most of what there is has been */
    bool gathering; /* also when little would come of these alone */
};

/* Blocks to clean, into BLOCKS, in the order in which they lie; how many. */
unsigned sparse_find(struct sparse *sparse, const struct sparse_terms *terms,
                     uint32_t *blocks);

/* Whether there was nothing in the whole store, as it was then. */
bool sparse_has_looked_everywhere(const struct sparse *sparse, bool splits);

#endif
