/* gate.h - named points in the code where a test can stop a thread or make it fail
 *
 * Owns:    the list of points.
 * Called:  by any thread, at the points themselves.
 * Locks:   none.
 * Never:   exists in the product: without ZSLOT_GATES a gate is the constant 0.
 *
 * A test sets a hook.  The hook may block, run the other actor of a race to completion,
 * or return a negative errno, which the point then fails with.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_GATE_H
#define ZSLOT_GATE_H

#include <stdint.h>

#define GATES(G)                                                                          \
    /* may fail: */                                                                       \
    G(MEMORY_CHARGE) /* before RAM is charged to the volume */                            \
    G(POOL_ALLOC)    /* before an object is allocated */                                  \
    G(LEAF_MAKE)     /* before a part of the slot table gets its RAM */                   \
    G(FILE_SUBMIT)   /* before the kernel is told of I/O on a file */                     \
    G(FILE_MOVED)    /* the kernel has done with an I/O on a file */                      \
    G(HOLD) /* what may come late is held, and then for no longer than reads */           \
    /* may only block: */                                                                 \
    G(WRITE_BUILT)    /* the new object is there, the slot is not switched */             \
    G(WRITE_SWITCHED) /* the slot is switched, the old object is not freed */             \
    G(WRITE_MERGED)   /* a partial write has its merged copy, under a ticket */           \
    G(READ_COPIED)    /* a read has the object's bytes, and no lock */                    \
    G(COMPACT_PICKED) /* the new place is there, the slot is not locked */                \
    G(COMPACT_MOVED)  /* the slot refers to the new place, the old is not freed */        \
    G(EDGE_DONE)      /* a slot is switched and unlocked, its leaf is still pinned */     \
    G(LEAF_FREE)      /* a leaf without pages is about to give its RAM back */            \
    G(SEGMENT_COPIED) /* objects are in a segment, which is not submitted */              \
    G(SEGMENT_LANDED) /* a segment has landed, no slot is switched */                     \
    G(SEGMENT_SWITCHED) /* a slot refers to the backing store, its object is not freed */ \
    G(PROMOTE_BUILT) /* a promoted page's object is there, the slot is not switched */    \
    G(FETCH_JOINED)  /* a reader is about to wait for a fetch, its own or another's */    \
    G(FETCH_READ)    /* a fetch has its bytes, its slot is not looked at again */         \
    G(ROOM_FULL)     /* the store was found full, and writers were told */

enum gate {
#define G(name) GATE_##name,
    GATES(G)
#undef G
};

#ifdef ZSLOT_GATES
typedef int gate_hook_fn(enum gate point, uint64_t slot, void *opaque);

/* Sets the hook, or none for NULL.  Threads at work may still be in the former one, and
 * get the new OPAQUE there. */
void gate_set_hook(gate_hook_fn *hook, void *opaque);

/* Runs the hook.  Returns 0, or the negative errno that the hook wants the point to
 * fail with. */
int gate(enum gate point, uint64_t slot);
#else
static inline int gate(enum gate point, uint64_t slot)
{
    (void)point;
    (void)slot;
    return 0;
}
#endif

#endif
