/* room.h - what the memory limit leaves for objects, and writers who wait for it
 *
 * Owns:    the waiting.
 * Called:  room_poke() and room_wait() by request threads, with no context and no lock;
 *          the rest by the writeback thread.
 * Locks:   LOCK_RANK_ROOM.
 * Never:   evicts.
 *
 * Headroom is the memory limit, less what is in use for anything but objects, less the
 * places of live objects.  Free places between live objects count as headroom: they are
 * used again, or made into free RAM by compaction when a writer needs another size.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_ROOM_H
#define ZSLOT_ROOM_H

#include <stdbool.h>
#include <stdint.h>

struct writeback;

/* After RAM was used: wakes the writeback thread when headroom is low. */
void room_poke(struct writeback *writeback);

/* Waits until some room may have been made.  -ENOSPC: there will be none, since the backing
 * store is full, FAILED or over its budget, or PATIENCE is at its end; -ESHUTDOWN: this since
 * the host ends. */
struct patience;
int room_wait(struct writeback *writeback, struct patience *patience);

bool room_is_limited(const struct writeback *writeback);
uint64_t room_bytes(const struct writeback *writeback);

/* Eviction begins when there is less headroom than the one, and ends at the other. */
uint64_t room_low_mark(const struct writeback *writeback);
uint64_t room_high_mark(const struct writeback *writeback);

/* Nothing is about to leave: if a writer has waited for nothing meanwhile, HEADROOM is of no use to it,
 * and the marks rise above it.  As time goes by that is forgotten, a little each second. */
void room_note_useless(struct writeback *writeback, uint64_t headroom);
void room_forget_useless(struct writeback *writeback, uint64_t now_ms);

/* Room may have been made, or will not be. */
void room_tell_waiters(struct writeback *writeback);

#endif
