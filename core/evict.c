/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "evict.h"

#include <errno.h>

#include "room.h"
#include "writeback-state.h"

/* Slots or leaves looked at before the loop sees to other events: well under a
 * millisecond. */
#define VISITS_PER_STEP 8192

/* Failures in a row before the backing store counts as FAILED. */
#define FAILURES_MAX 8
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 10000

/* Segments that only the cleaner may take: without them it could not make others free. */
#define RESERVED_SEGMENTS 3

/* So little beyond what is live is not worth cleaning for. */
#define CLEAN_BYTES_MIN (UINT64_C(16) << 20)

/* A segment that is not full is written all the same after so long. */
#define FILLING_MAX_MS 5000
#define OVER_BUDGET_MS 1000

void evict_again_soon(struct writeback *writeback)
{
    event_active(writeback->wake, EV_READ, 1);
}

static void come_back_in(struct writeback *writeback, uint64_t ms)
{
    const struct timeval delay = {.tv_sec = (time_t)(ms / 1000),
                                  .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

    event_add(writeback->retry, &delay);
}

static void on_discarded(struct backing_io *io, int result)
{
    struct discard *discard = io->opaque;
    struct writeback *writeback = discard->writeback;

    (void)result; /* space that could not be given back is used again all the same */
    discard->busy = false;
    space_put_back(&writeback->space, (uint32_t)(io->offset / SEGMENT_BYTES));
    writeback->full = false;
    evict_again_soon(writeback);
}

static void discard_empty(struct writeback *writeback)
{
    for (unsigned i = 0; i < DISCARDS_MAX; i++) {
        struct discard *discard = &writeback->discards[i];
        uint32_t segment;

        if (discard->busy)
            continue;
        if (!space_next_empty(&writeback->space, &segment))
            return;
        discard->busy = true;
        discard->io = (struct backing_io){
            .op = BACKING_DISCARD,
            .offset = (uint64_t)segment * SEGMENT_BYTES,
            .bytes = SEGMENT_BYTES,
            .done = on_discarded,
            .opaque = discard,
        };
        backing_submit(writeback->backing, &discard->io);
    }
}

static bool discards_busy(const struct writeback *writeback)
{
    for (unsigned i = 0; i < DISCARDS_MAX; i++)
        if (writeback->discards[i].busy)
            return true;
    return false;
}

/* A success ends a FAILED state; a failure makes the thread wait before it tries
 * again. */
void evict_note_result(struct writeback *writeback, int result)
{
    if (result == 0) {
        writeback->failures = 0;
        writeback->failed = false;
        writeback->retry_at_ms = 0;
        return;
    }
    uint64_t wait = (uint64_t)BACKOFF_MIN_MS
                    << (writeback->failures < 10 ? writeback->failures : 10);

    writeback->failures++;
    writeback->failed = writeback->failures >= FAILURES_MAX;
    writeback->retry_at_ms =
        writeback_now_ms() + (wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS);
}

void evict_segment_done(void *opaque, struct segment *segment, int result)
{
    struct writeback *writeback = opaque;

    writeback->in_flight_bytes -= segment->object_bytes;
    if (segment->cleans)
        cleaner_note_done(&writeback->cleaner, result, writeback->cleaning != NULL);
    if (result < 0)
        budget_refund(&writeback->budget, segment_write_bytes(segment));
    evict_note_result(writeback, result);
    room_tell_waiters(writeback);
    evict_again_soon(writeback);
}

/* Sends a segment off, unless that would be past the budget: then its pages stay. */
static void submit(struct writeback *writeback, struct segment **segment)
{
    struct segment *full = *segment;
    uint64_t now = writeback_now_ms();

    *segment = NULL;
    if (full->cleans)
        cleaner_note_submitted(&writeback->cleaner);
    if (!budget_charge(&writeback->budget, segment_write_bytes(full), now)) {
        if (full->cleans)
            cleaner_note_done(&writeback->cleaner, -EDQUOT, false);
        segment_abandon(full);
        writeback->retry_at_ms = now + OVER_BUDGET_MS;
        writeback->over_budget = true;
        return;
    }
    writeback->over_budget = false;
    writeback->in_flight_bytes += full->object_bytes;
    segment_submit(full);
}

/* Free segments are few, or what is used is more than twice what is live: the rest of a
 * file shall not stay allocated.  Cleaning earlier would write more than it frees. */
static bool should_clean(struct writeback *writeback)
{
    struct space *space = &writeback->space;
    uint32_t few = space->segments / 16 + RESERVED_SEGMENTS + SEGMENTS_IN_FLIGHT;
    uint64_t used_bytes = (uint64_t)space->used * SEGMENT_BYTES;

    return space_free_segments(space) < few ||
           used_bytes > 2 * space->live_bytes + CLEAN_BYTES_MIN;
}

static void clean(struct writeback *writeback)
{
    if (!writeback->cleaner.loaded) {
        if (writeback->cleaner.reading ||
            (should_clean(writeback) && cleaner_begin(&writeback->cleaner)))
            return;
        if (writeback->cleaning) /* nothing more to put into it */
            submit(writeback, &writeback->cleaning);
        return;
    }
    for (;;) {
        if (!writeback->cleaning &&
            segment_begin(&writeback->segments, &writeback->cleaning) < 0)
            return; /* a completion calls us again */
        if (cleaner_fill(&writeback->cleaner, writeback->cleaning))
            break;
        submit(writeback, &writeback->cleaning);
    }
    evict_again_soon(writeback);
}

/* The segment being filled, or a new one; NULL while there is none to be had.  What
 * stops it calls us again when it ends. */
static struct segment *segment_to_fill(struct writeback *writeback)
{
    if (writeback->filling)
        return writeback->filling;
    if (space_free_segments(&writeback->space) <= RESERVED_SEGMENTS) {
        writeback->full = writeback->segments.in_flight == 0 &&
                          !discards_busy(writeback) && !writeback->cleaner.reading &&
                          !writeback->cleaner.loaded;
        if (writeback->full)
            room_tell_waiters(writeback);
        return NULL;
    }
    writeback->full = false;
    /* One buffer stays for the cleaner. */
    if (writeback->segments.in_flight + 1 >= SEGMENTS_IN_FLIGHT ||
        segment_begin(&writeback->segments, &writeback->filling) < 0)
        return NULL;
    writeback->filling_since_ms = writeback_now_ms();
    return writeback->filling;
}

static void relieve(struct writeback *writeback)
{
    if (!room_is_limited(writeback))
        return;
    uint64_t headroom = room_bytes(writeback) + writeback->in_flight_bytes;
    if (headroom < room_low_mark(writeback))
        writeback->evicting = true;
    if (headroom >= room_high_mark(writeback))
        writeback->evicting = false;
    if (!writeback->evicting || !segment_to_fill(writeback))
        return;

    uint64_t wanted = room_high_mark(writeback) - headroom;
    switch (
        select_fill(&writeback->select, writeback->filling, VISITS_PER_STEP, wanted)) {
    case SELECT_FULL:
        submit(writeback, &writeback->filling);
        evict_again_soon(writeback);
        break;
    case SELECT_MORE:
        evict_again_soon(writeback);
        break;
    case SELECT_BARREN:
        if (writeback->filling->objects > 0)
            submit(writeback, &writeback->filling);
        break;
    }
}

static void write_idle(struct writeback *writeback)
{
    struct segment *segment = segment_to_fill(writeback);

    switch (idle_fill(&writeback->idle, segment, VISITS_PER_STEP, writeback_now_ms())) {
    case IDLE_FULL:
        submit(writeback, &writeback->filling);
        evict_again_soon(writeback);
        break;
    case IDLE_MORE:
        evict_again_soon(writeback);
        break;
    case IDLE_REST:
        /* What has waited long enough for company goes without. */
        if (segment && segment->objects > 0 &&
            writeback_now_ms() - writeback->filling_since_ms >= FILLING_MAX_MS)
            submit(writeback, &writeback->filling);
        break;
    }
}

/* What writeback_all() asked for: one walk over the table. */
static void write_all(struct writeback *writeback)
{
    struct slot_table *slots = &writeback->parts->slots;
    unsigned visits = VISITS_PER_STEP;

    if (writeback->all_asked != writeback->all_begun) {
        writeback->all_begun = writeback->all_asked;
        writeback->all_hand = 0;
    }
    while (writeback->all_hand < slots->slots && visits-- > 0) {
        if (!leaf_is_present(&slots->leaves, writeback->all_hand / LEAF_SLOTS)) {
            writeback->all_hand = (writeback->all_hand / LEAF_SLOTS + 1) * LEAF_SLOTS;
            continue;
        }
        struct segment *segment = segment_to_fill(writeback);
        if (!segment) {
            if (writeback->full)
                writeback->all_hand = slots->slots;
            return;
        }
        if (segment_add(segment, writeback->all_hand) != -ENOSPC)
            writeback->all_hand++;
        else
            submit(writeback, &writeback->filling);
    }
    if (writeback->all_hand < slots->slots)
        evict_again_soon(writeback);
    else if (writeback->filling && writeback->filling->objects > 0)
        submit(writeback, &writeback->filling);
    else if (writeback->segments.in_flight == 0 &&
             writeback->all_done != writeback->all_begun) {
        writeback->all_done = writeback->all_begun;
        room_tell_waiters(writeback);
    }
}

void evict_work(struct writeback *writeback)
{
    discard_empty(writeback);
    uint64_t now = writeback_now_ms();
    if (now < writeback->retry_at_ms)
        come_back_in(writeback, writeback->retry_at_ms - now);
    if (!writeback->ready || now < writeback->retry_at_ms)
        return;
    clean(writeback);
    if (writeback->idle.unit_ms)
        write_idle(writeback);
    if (writeback->all_done != writeback->all_asked)
        write_all(writeback);
    relieve(writeback);
}

bool evict_is_idle(struct writeback *writeback)
{
    return writeback->segments.in_flight == 0 && !writeback->cleaner.reading &&
           !discards_busy(writeback) && !writeback->header_busy &&
           fetch_table_is_idle(&writeback->fetches);
}
