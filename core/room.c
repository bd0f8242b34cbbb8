/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "room.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>

#include "cleanup.h"
#include "writeback-state.h"

/* A writer waits so long for room, in all; clients give up after some 30 s. */
#define ROOM_WAIT_MS 10000
#define ROOM_SLICE_MS 100

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
uint64_t room_low_mark(const struct writeback *writeback)
{
    return writeback->parts->memory.limit_bytes / 16;
}

uint64_t room_high_mark(const struct writeback *writeback)
{
    return room_low_mark(writeback) + room_low_mark(writeback) / 4;
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
    if (writeback->waiters > 0)
        pthread_cond_broadcast(&writeback->room);
}

int room_wait(struct writeback *writeback, unsigned *waited_ms)
{
    if (writeback->failed || writeback->backing->away || writeback->over_budget ||
        *waited_ms >= ROOM_WAIT_MS)
        return -ENOSPC;
    uint64_t start = writeback_now_ms(), until = start + ROOM_SLICE_MS;
    struct timespec deadline = {.tv_sec = (time_t)(until / 1000),
                                .tv_nsec = (long)(until % 1000) * 1000000};
    LOCK_FOR_SCOPE(&writeback->room_lock);
    uint64_t before = writeback->room_made, asked = ++writeback->room_asked;
    uint64_t landed = writeback->room_landed;
    writeback->waiters++;
    if (!atomic_exchange(&writeback->poked, true))
        eventfd_write(writeback->wake_fd, 1);
    while (writeback->room_made == before &&
           pthread_cond_timedwait(&writeback->room, &writeback->room_lock.mutex,
                                  &deadline) == 0)
        ;
    writeback->waiters--;
    *waited_ms += (unsigned)(writeback_now_ms() - start) + 1;
    /* As the thread has found it since: a trim may have ended an earlier fullness.  And
     * what has landed since made room, whatever became of the store by that. */
    return writeback->full && writeback->full_asked >= asked &&
                   writeback->room_landed == landed
               ? -ENOSPC
               : 0;
}
