/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "room.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "cleanup.h"
#include "patience.h"
#include "writeback-state.h"

/* So much of what was found to be useless is taken for room again, so often. */
#define USELESS_SHARE 64
#define USELESS_MS 1000

uint64_t room_bytes(const struct writeback *writeback)
{
    const struct parts *parts = writeback->parts;
    uint64_t limit = parts->memory.limit_bytes;
    uint64_t used = memory_used_bytes(&parts->memory);
    uint64_t committed = parts->pool.table.committed_bytes,
             live = parts->pool.live_bytes;
    /* What is in use, with the pool's free places taken as free. */
    uint64_t needed = used - committed + live;

    return needed < limit ? limit - needed : 0;
}

/* Fragmentation takes some of the limit, and writers should not have to wait: 1/16 is
 * kept free below the low mark, and a little more up to the high one. */
static uint64_t share(const struct writeback *writeback)
{
    return writeback->parts->memory.limit_bytes / 16;
}

uint64_t room_low_mark(const struct writeback *writeback)
{
    return share(writeback) + writeback->useless_bytes;
}

uint64_t room_high_mark(const struct writeback *writeback)
{
    return room_low_mark(writeback) + share(writeback) / 4;
}

/* A small limit has less than that between its objects, one of each class or so, when nothing more
 * can be compacted. */
void room_note_useless(struct writeback *writeback, uint64_t headroom)
{
    if (atomic_exchange(&writeback->starving, false) &&
        headroom >= room_low_mark(writeback))
        writeback->useless_bytes = headroom - share(writeback) + 1;
}

void room_forget_useless(struct writeback *writeback, uint64_t now_ms)
{
    uint64_t useless = writeback->useless_bytes;

    if (now_ms < writeback->forgot_ms + USELESS_MS)
        return;
    writeback->forgot_ms = now_ms;
    writeback->useless_bytes = useless - (useless + USELESS_SHARE - 1) / USELESS_SHARE;
}

bool room_is_limited(const struct writeback *writeback)
{
    return writeback->parts->memory.limit_bytes != UINT64_MAX;
}

void room_poke(struct writeback *writeback)
{
    if (!room_is_limited(writeback) ||
        room_bytes(writeback) >= room_low_mark(writeback))
        return;
    if (!atomic_exchange(&writeback->poked, true))
        eventfd_write(writeback->wake_fd, 1);
}

void room_tell_waiters(struct writeback *writeback)
{
    LOCK_FOR_SCOPE(&writeback->room_lock);

    writeback->room_made++;
    writeback->starving = false; /* it waited for what was on its way */
    if (writeback->waiters > 0)
        pthread_cond_broadcast(&writeback->room);
}

/* One slice.  -ENOSPC. */
static int wait_until(struct writeback *writeback, const struct timespec *deadline)
{
    LOCK_FOR_SCOPE(&writeback->room_lock);
    uint64_t before = writeback->room_made, asked = ++writeback->room_asked;
    uint64_t landed = writeback->room_landed;
    writeback->waiters++;
    if (!atomic_exchange(&writeback->poked, true))
        eventfd_write(writeback->wake_fd, 1);
    while (writeback->room_made == before &&
           pthread_cond_timedwait(&writeback->room, &writeback->room_lock.mutex,
                                  deadline) == 0)
        ;
    writeback->waiters--;
    if (writeback->room_made == before)
        writeback->starving = true;
    /* As the thread has found it since: a trim may have ended an earlier fullness.  And
     * what has landed since made room, whatever became of the store by that. */
    return writeback->full && writeback->full_asked >= asked &&
                   writeback->room_landed == landed
               ? -ENOSPC
               : 0;
}

int room_wait(struct writeback *writeback, struct patience *patience)
{
    struct timespec deadline;

    if (writeback->failed || writeback->backing->away || writeback->over_budget)
        return -ENOSPC;
    patience_begin(patience);
    /* Also one that is woken at once, and finds that others have taken the room. */
    if (patience->left_ms > 0)
        patience->left_ms--;
    patience_slice(patience, &deadline);
    int r = wait_until(writeback, &deadline);
    if (r < 0)
        return r;
    r = patience_go_on(patience, writeback->parts);
    return r == -ETIMEDOUT ? -ENOSPC : r;
}
