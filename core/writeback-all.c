/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "writeback-all.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "cleanup.h"
#include "clock.h"
#include "evict.h"
#include "room.h"
#include "work.h"
#include "writeback-state.h"

/* Who waits looks up now and then. */
#define SLICE_MS 50

/* -- Asking for it. -- */

static void wait_a_while_locked(struct writeback *writeback)
{
    struct timespec deadline = clock_timespec(clock_now_ms() + SLICE_MS);

    pthread_cond_timedwait(&writeback->room, &writeback->room_lock.mutex, &deadline);
}

static void widen(struct filter *wanted, const struct filter *filter)
{
    if (wanted->type != filter->type)
        wanted->type = FILTER_ALL;
    if (wanted->max_bytes < filter->max_bytes)
        wanted->max_bytes = filter->max_bytes;
}

/* How far the walk has come, as far as it is ours alone. */
static void note_progress(const struct writeback *writeback, struct work *work)
{
    const struct writeback_all *all = &writeback->all;

    work->total = writeback->parts->slots.slots;
    work->done = all->hand;
    work->pages = all->pages;
    work->bytes = all->bytes;
}

int writeback_all(struct writeback *writeback, const struct filter *filter,
                  struct work *work)
{
    struct writeback_all *all = &writeback->all;
    int r = -ECANCELED;

    LOCK_FOR_SCOPE(&writeback->room_lock);
    if (all->done == all->asked)
        all->wanted = *filter;
    else
        widen(&all->wanted, filter);
    uint64_t asked = ++all->asked;
    eventfd_write(writeback->wake_fd, 1);

    writeback->waiters++;
    while (all->done < asked && !writeback->stopping && !(work && work->cancelled)) {
        wait_a_while_locked(writeback);
        if (work && all->begun == asked)
            note_progress(writeback, work);
    }
    writeback->waiters--;
    if (all->done >= asked) {
        r = all->result;
        if (work)
            note_progress(writeback, work);
    }
    return r;
}

/* -- Doing it. -- */

static void end(struct writeback *writeback)
{
    struct writeback_all *all = &writeback->all;

    {
        LOCK_FOR_SCOPE(&writeback->room_lock);
        all->result = all->failed;
        all->done = all->begun;
    }
    room_tell_waiters(writeback);
}

static void begin(struct writeback *writeback)
{
    struct writeback_all *all = &writeback->all;

    LOCK_FOR_SCOPE(&writeback->room_lock);
    all->begun = all->asked;
    all->filter = all->wanted;
    all->pages = all->bytes = 0;
    all->hand = 0;
    all->walked = false;
}

bool writeback_all_is_wanted(struct writeback *writeback)
{
    struct writeback_all *all = &writeback->all;

    if (all->done == all->asked)
        return false;
    if (all->begun == all->done) {
        all->failed = 0;
        all->hopeless = false;
    }
    if (all->begun != all->asked)
        begin(writeback);
    if (all->hopeless && writeback->segments.in_flight == 0)
        end(writeback);
    return all->done != all->begun && !all->hopeless;
}

void writeback_all_give_up(struct writeback *writeback, int why)
{
    writeback->all.failed = why;
    writeback->all.hopeless = true;
    evict_again_soon(writeback); /* who asked is told */
}

void writeback_all_note_done(struct writeback *writeback, const struct segment *segment,
                             int result)
{
    struct writeback_all *all = &writeback->all;

    if (all->left > 0 && segment->sequence <= all->last)
        all->left--;
    if (result < 0 && segment->evicted_bytes > 0)
        all->failed = result; /* pages that it was to free stay in RAM */
    all->hopeless |= writeback->failed;
}

/* NULL: not now, or not at all, which the walk then knows. */
static struct segment *segment_to_fill(struct writeback *writeback)
{
    struct segment *segment = evict_segment_to_fill(writeback);

    if (!segment && writeback->full)
        writeback_all_give_up(writeback, -ENOSPC);
    return segment;
}

/* It waits for what is in flight now. */
static void note_last(struct writeback *writeback)
{
    writeback->all.last = writeback->segments.sequence;
    writeback->all.left = writeback->segments.in_flight;
}

/* False: that would be past the budget. */
static bool submit_owed(struct writeback *writeback)
{
    const struct segment *filling = writeback->filling;

    if (!writeback->all.owes)
        return true;
    if (filling && filling->objects > 0 && !evict_submit_filling(writeback))
        return false;
    note_last(writeback);
    writeback->all.owes = false;
    return true;
}

/* The walk has come to its end: what it has chosen is sent off, and then waited for; not
 * what others choose meanwhile.  In a store that is nearly full a segment may be of a few blocks, and it
 * takes many for what was put aside. */
static void end_walk(struct writeback *writeback)
{
    struct segment_set *segments = &writeback->segments;
    struct writeback_all *all = &writeback->all;

    if (!all->walked) {
        all->walked = all->owes = true;
        segment_mark_aside(segments);
        note_last(writeback);
    } else if (segments->aside_marked < all->aside) {
        /* Others have begun a segment with some of it, and may have sent it off. */
        all->owes = true;
        note_last(writeback);
    }
    while (submit_owed(writeback) && segments->aside_marked > 0) {
        struct segment *segment = segment_to_fill(writeback);

        if (!segment)
            break; /* a completion calls us again */
        /* It may have been there before. */
        segment_add_aside(segment);
        all->owes = true;
    }
    all->aside = segments->aside_marked;
    if (!all->owes && all->aside == 0 && all->left == 0)
        end(writeback);
}

/* -ENOSPC: the segment is full. */
static int add_if_asked_for(struct writeback *writeback, struct segment *segment)
{
    struct writeback_all *all = &writeback->all;
    struct slot_age page;

    slot_look(&writeback->parts->slots, all->hand, &page);
    if (!filter_lets(&all->filter, page.marks & SLOT_IDLE, page.state == SLOT_HUGE))
        return 0;
    int r = segment_add(segment, all->hand);
    if (r == 0) {
        all->pages++;
        all->bytes += page.length;
    }
    return r;
}

void writeback_all_step(struct writeback *writeback, unsigned visits)
{
    struct slot_table *slots = &writeback->parts->slots;
    struct writeback_all *all = &writeback->all;

    while (all->hand < slots->slots && visits-- > 0) {
        if (!leaf_is_present(&slots->leaves, all->hand / LEAF_SLOTS)) {
            all->hand = (all->hand / LEAF_SLOTS + 1) * LEAF_SLOTS;
            continue;
        }
        struct segment *segment = segment_to_fill(writeback);
        if (!segment)
            return;
        if (all->bytes >= all->filter.max_bytes)
            all->hand = slots->slots;
        else if (add_if_asked_for(writeback, segment) != -ENOSPC)
            all->hand++;
        else if (!evict_submit_filling(writeback))
            return;
    }
    if (all->hand < slots->slots)
        evict_again_soon(writeback);
    else
        end_walk(writeback);
}
