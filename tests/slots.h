/* slots.h - a slot table, and nothing else of a volume
 *
 * Owns:    the table and its memory, for one test at a time.
 * Called:  by the unit-slot- tests.
 * Locks:   none.
 * Never:   has a pool or a backing store: refs are made up.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_SLOTS_H
#define TESTS_SLOTS_H

#include "slot.h"

#define SLOTS 1000

extern struct memory slots_memory;
extern struct slot_table slots_table;

/* One of each state that a write makes. */
extern const struct slot_content slots_empty, slots_same, slots_compressed, slots_huge;

void slots_setup(void);
void slots_teardown(void); /* checks each slot, and that no pin was forgotten */

void slots_assert_content(const struct slot_content *is,
                          const struct slot_content *should);

/* That the slot has this content, and is legal. */
void slots_assert(slot_t slot, const struct slot_content *should);

/* Puts NEW where BEFORE was. */
void slots_put(slot_t slot, const struct slot_content *new,
               const struct slot_content *before);

#endif
