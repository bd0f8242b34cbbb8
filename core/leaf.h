/* leaf.h - the RAM of the slot table, which comes and goes in leaves
 *
 * Owns:    the mapping that slots live in, and a directory with one word per leaf.
 * Called:  by slot.c only.
 * Locks:   none; a directory word is atomic.
 * Never:   looks into a slot.
 *
 * A leaf is one OS page of the table: 256 slots, 1 MiB of the volume.  A leaf without
 * RAM stands for EMPTY slots; even looking at it through the mapping would bring it in,
 * so nobody does without a pin.
 *
 *   ABSENT --leaf_pin()--> BUSY --> PRESENT        the first page is put
 *   PRESENT --leaf_free()--> BUSY --> ABSENT       no page, no pin
 *
 * A pin keeps a leaf PRESENT.  Whoever locks a slot or holds a ticket for one has
 * pinned its leaf, so that versions, which start at 0 in a new leaf, cannot come round
 * under a ticket.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_LEAF_H
#define ZSLOT_LEAF_H

#include <stdbool.h>
#include <stdint.h>

#include "page.h"
#include "region.h"

#define SLOT_BYTES 16u
#define LEAF_SLOTS (PAGE_BYTES / SLOT_BYTES)

struct leaf_table {
    struct region slots;
    struct region directory; /* a word per leaf */
    uint64_t leaves;
};

/* LEAVES leaves, all absent.  MEMORY is borrowed; the directory is charged to it when
 * the table starts, a leaf when it is made.  -ENOMEM. */
int leaf_table_open(struct leaf_table *table, uint64_t leaves, struct memory *memory,
                    bool lock_in_ram);
int leaf_table_start(struct leaf_table *table); /* -ENOSPC, -ENOMEM */
void leaf_table_close(struct leaf_table *table);

/* The RAM that a table of LEAVES leaves costs before there is any page in it. */
uint64_t leaf_table_fixed_bytes(uint64_t leaves);

/* Pins the leaf if it is there.  Until leaf_unpin() its slots may be touched. */
bool leaf_try_pin(struct leaf_table *table, uint64_t leaf);

/* Pins the leaf, making it when absent.  -ENOSPC, -ENOMEM as region_commit(). */
int leaf_pin(struct leaf_table *table, uint64_t leaf);

/* Pins once more what the caller has pinned. */
void leaf_pin_again(struct leaf_table *table, uint64_t leaf);

/* Takes a pin off. */
void leaf_unpin(struct leaf_table *table, uint64_t leaf);

/* CHANGE (1 or -1) pages more of a pinned leaf are not EMPTY.  To be told under the
 * lock of the slot that changed: told later, a page's end could be counted before its
 * beginning, and a count below zero would borrow from the state. */
void leaf_count(struct leaf_table *table, uint64_t leaf, int change);

/* Takes over a leaf that a former process left with LIVE pages.  Before anybody else is at
 * work.  -ENOSPC, -ENOMEM as region_adopt(). */
int leaf_adopt(struct leaf_table *table, uint64_t leaf, unsigned live);

/* Gives the leaf's RAM back when it has no page and no pin. */
void leaf_free(struct leaf_table *table, uint64_t leaf);

bool leaf_is_present(const struct leaf_table *table, uint64_t leaf);

/* Pages that are not EMPTY, for checks. */
unsigned leaf_live(const struct leaf_table *table, uint64_t leaf);

#endif
