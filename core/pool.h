/* pool.h - objects in RAM, behind handles
 *
 * Owns:    the objects' memory: spans of size classes (span.h), and which spans have
 *          room.
 * Called:  by request threads and by compaction, at the same time.
 * Locks:   one per size class (LOCK_RANK_CLASS), held for the choice of a place only;
 *          writers meet when their objects' lengths are within 16 bytes of each other.
 * Never:   locks or looks at a slot, copies an object, or allocates anything else.
 *
 * The rejected alternative to a lock per class is a set of spans per thread: each set
 * has its own half-used spans, some 180 of them, which at a few hundred MiB of objects
 * costs several per cent of density and saves nothing that could be measured on two
 * processors.
 *
 * Ownership. pool_alloc() gives the caller a place that nobody else knows; it is the
 * caller's until a slot refers to it.  From then on whoever takes the handle out of the
 * slot, under the slot's lock, owns it and frees it after unlocking.  An object's bytes
 * may be read only while the slot that refers to it is locked, or by its owner.
 *
 * Compaction. pool_victim_next() names the objects that should move; compact.c moves
 * them, since only it may lock slots.  Nothing is allocated from a span that is to be
 * emptied, and only pool_victim_done() drops a victim.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_POOL_H
#define ZSLOT_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lock.h"
#include "span.h"

typedef struct {
    uint64_t value; /* span << 8 | place */
} handle_t;

/* Lists of spans by fullness: below 1/4, 1/2, 3/4 and below full. */
#define POOL_BINS 4

struct pool_class {
    struct lock lock;
    uint32_t bins[POOL_BINS]; /* heads; guarded by lock, as is all of the class */
    uint32_t spans;
    uint64_t live; /* objects */
} __attribute__((aligned(128)));

struct pool {
    struct span_table table;
    struct pool_class classes[SIZE_CLASSES];
    /* Places of allocated objects.  What the spans have in RAM beyond that is free
     * places. */
    _Atomic uint64_t live_bytes;
};

/* Address space for PAGES pages of content, each of which might be raw, and for what
 * spans leave unused.  MEMORY is borrowed.  -ENOMEM. */
int pool_open(struct pool *pool, uint64_t pages, struct memory *memory,
              bool lock_in_ram);
int pool_start(struct pool *pool);
void pool_close(struct pool *pool);

/* A place for LENGTH bytes (1 to COMPRESSED_BYTES_MAX, or PAGE_BYTES), for the content
 * of slot OWNER.  -ENOSPC: past the memory limit.  -ENOMEM: the system has none. */
int pool_alloc(struct pool *pool, uint32_t length, uint32_t owner, handle_t *handle);

void pool_free(struct pool *pool, handle_t handle);

/* Has the processor bring near what pool_free() will need.  HANDLE may be anything. */
void pool_prefetch(const struct pool *pool, handle_t handle);

/* Where the object of LENGTH bytes is. */
static inline void *pool_object(const struct pool *pool, handle_t handle,
                                uint32_t length)
{
    return span_object(&pool->table, (uint32_t)(handle.value >> 8),
                       size_class_of(length), handle.value & 0xff);
}

/* A span that compaction should empty, or pack towards its start. */
struct pool_victim {
    unsigned class;
    uint32_t span;
    bool packing; /* it stays: its objects move away, then within it */
    unsigned next;
};

/* Chooses in CLASS; false when nothing there is worth moving. */
bool pool_victim_choose(struct pool *pool, unsigned class, struct pool_victim *victim);

/* The next object to move, with the slot that owns it or is about to; false when
 * done. */
bool pool_victim_next(struct pool *pool, struct pool_victim *victim, handle_t *handle,
                      uint32_t *owner);

/* Ends the work on VICTIM, which must follow a choice.  Returns whether RAM was given
 * back. */
bool pool_victim_done(struct pool *pool, struct pool_victim *victim);

/* -- What a former process left; before anybody else is at work. -- */

/* OS pages that the span of HANDLE needs for the places up to that of an object of LENGTH
 * bytes there. */
unsigned pool_pages_up_to(handle_t handle, uint32_t length);

/* Objects are in the first SPANS spans.  -ENOSPC, -ENOMEM. */
int pool_adopt_begin(struct pool *pool, uint32_t spans);

/* Slot OWNER refers to an object of LENGTH bytes at HANDLE.  -EUCLEAN: that cannot be, or
 * another slot does too. */
int pool_adopt(struct pool *pool, handle_t handle, uint32_t length, uint32_t owner);

/* No more objects.  -ENOSPC, -ENOMEM. */
int pool_adopt_end(struct pool *pool);

/* RAM in spans that no object uses: free places and ends of spans.  Approximate while
 * others allocate, as is the next. */
uint64_t pool_free_bytes(const struct pool *pool);

/* Objects in all classes. */
uint64_t pool_objects(struct pool *pool);

/* Whether HANDLE names an allocated object of the class for LENGTH, and of OWNER; for
 * checks. */
bool pool_is_object(struct pool *pool, handle_t handle, uint32_t length,
                    uint32_t owner);

#endif
