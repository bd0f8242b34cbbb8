/* cleanup.h - freeing and unlocking by scope
 *
 * Owns:    nothing.
 * Called:  by any thread.
 * Locks:   LOCK_FOR_SCOPE takes the one it is given until the end of the scope.
 * Never:   is used to undo several steps in reverse; that is what goto is for.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_CLEANUP_H
#define ZSLOT_CLEANUP_H

#include "lock.h"

static inline void cleanup_unlock(struct lock **lock)
{
    lock_release(*lock);
}

#define CLEANUP_NAME_(line) cleanup_lock_##line
#define CLEANUP_NAME(line) CLEANUP_NAME_(line)

/* Holds the lock that WHICH points to from here to the end of the enclosing scope. */
#define LOCK_FOR_SCOPE(which)                                                          \
    __attribute__((cleanup(cleanup_unlock), unused)) struct lock *CLEANUP_NAME(        \
        __LINE__) = lock_take(which)

#endif
