/* lock.h - mutexes with ranks
 *
 * Owns:    the order in which one thread may take our locks.
 * Called:  by any thread.
 * Locks:   is about them.
 * Never:   implements a slot's lock, which is one bit (slot.h); it only notes that one
 *          is held.
 *
 * A thread takes locks in rising rank only.  Debug builds (ZSLOT_DEBUG) check it at
 * every step; memory.c checks that none is a slot's when memory is waited for (rule
 * S10).  Other builds pay nothing for it.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_LOCK_H
#define ZSLOT_LOCK_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>

enum lock_rank {
    LOCK_RANK_CODECS,  /* one change of codecs at a time; contexts are taken under it */
    LOCK_RANK_COMPACT, /* one compaction at a time; slots are locked under it */
    LOCK_RANK_FETCH,   /* fetches under way; a slot may be locked under it too */
    LOCK_RANK_CLASS,   /* the spans of one size class */
    LOCK_RANK_SPAN,    /* which spans are free */
    LOCK_RANK_REGION,  /* which parts of a mapping are locked in RAM */
    LOCK_RANK_CONTEXT, /* waiting for a context */
    LOCK_RANK_ROOM,    /* writers waiting for room */
    LOCK_RANK_SPACE,   /* which blocks are free */
    LOCK_RANK_BACKING, /* submitting to the backing store */
    LOCK_RANK_SLOT,    /* a slot's bit; nothing is taken or waited for under it */
};

struct lock {
    pthread_mutex_t mutex;
    enum lock_rank rank;
};

#ifdef ZSLOT_DEBUG
/* What this thread holds, one bit per rank. */
extern __thread unsigned lock_held;

static inline void lock_note_taken(enum lock_rank rank)
{
    assert(lock_held < 1u << rank);
    assert(rank != LOCK_RANK_SLOT ||
           !(lock_held & ~(1u << LOCK_RANK_COMPACT | 1u << LOCK_RANK_FETCH)));
    lock_held |= 1u << rank;
}

static inline void lock_note_released(enum lock_rank rank)
{
    assert(lock_held & 1u << rank);
    lock_held &= ~(1u << rank);
}

static inline bool lock_slot_is_held(void)
{
    return lock_held & 1u << LOCK_RANK_SLOT;
}
#else
static inline void lock_note_taken(enum lock_rank rank)
{
    (void)rank;
}

static inline void lock_note_released(enum lock_rank rank)
{
    (void)rank;
}
#endif

static inline void lock_init(struct lock *lock, enum lock_rank rank)
{
    pthread_mutex_init(&lock->mutex, NULL);
    lock->rank = rank;
}

static inline void lock_destroy(struct lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}

/* Returns LOCK, for LOCK_FOR_SCOPE. */
static inline struct lock *lock_take(struct lock *lock)
{
    lock_note_taken(lock->rank);
    pthread_mutex_lock(&lock->mutex);
    return lock;
}

/* False: somebody has it. */
static inline bool lock_try_take(struct lock *lock)
{
    if (pthread_mutex_trylock(&lock->mutex) != 0)
        return false;
    lock_note_taken(lock->rank);
    return true;
}

static inline void lock_release(struct lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
    lock_note_released(lock->rank);
}

#endif
