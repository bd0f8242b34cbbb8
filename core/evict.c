/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "evict.h"

#include <errno.h>

#include "cleanup.h"
#include "clock.h"
#include "compact.h"
#include "gate.h"
#include "room.h"
#include "writeback-all.h"
#include "writeback-state.h"

/* Slots or leaves looked at before the loop sees to other events: well under a
 * millisecond. */
#define VISITS_PER_STEP 8192

/* Failures in a row before the backing store counts as FAILED. */
#define FAILURES_MAX 5
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 10000

/* Blocks that only the cleaner may take: without them it could not make others free. */
#define RESERVED_BLOCKS (2 * SEGMENT_BLOCKS)

/* So little beyond what is live is not worth cleaning for. */
#define CLEAN_BYTES_MIN (UINT64_C(16) << 20)

/* Blocks that could not be written would be the first to be written again: for so long after a
 * failure FREE ones are filled first. */
#define REUSE_PAUSE_MS 60000

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
    writeback->reuse_at_ms = clock_now_ms() + REUSE_PAUSE_MS;
    discards_hurry(&writeback->discards);
    writeback->failed_writes.count++;
    writeback->failed_writes.err = -result;
    /* Those that were in flight together count once. */
    if (clock_now_ms() < writeback->retry_at_ms)
        return;
    uint64_t wait = (uint64_t)BACKOFF_MIN_MS
                    << (writeback->failures < 10 ? writeback->failures : 10);

    writeback->failures++;
    writeback->failed = writeback->failures >= FAILURES_MAX;
    writeback->retry_at_ms =
        clock_now_ms() + (wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS);
}

void evict_segment_done(void *opaque, struct segment *segment, int result)
{
    struct writeback *writeback = opaque;

    writeback->in_flight_bytes -= segment->evicted_bytes;
    if (segment->cleans)
        cleaner_note_done(&writeback->cleaner, result,
                          writeback->cleaning || cleaner_is_busy(&writeback->cleaner));
    if (result < 0)
        budget_refund(&writeback->budget, segment_write_bytes(segment));
    evict_note_result(writeback, result);
    writeback_all_note_done(writeback, segment, result);
    writeback->full = false; /* until it is found to be, again */
    if (result == 0) {
        LOCK_FOR_SCOPE(&writeback->room_lock);
        writeback->room_landed++;
    }
    room_tell_waiters(writeback);
    evict_again_soon(writeback);
}

/* Sends a segment off.  False: that would be past the budget, and its pages stay; there
 * is nothing to do for a while. */
static bool submit(struct writeback *writeback, struct segment **segment)
{
    struct segment *full = *segment;
    uint64_t now = clock_now_ms();

    *segment = NULL;
    writeback->over_budget =
        !budget_charge(&writeback->budget, segment_write_bytes(full), now);
    if (full->cleans)
        cleaner_note_submitted(&writeback->cleaner);
    if (writeback->over_budget) {
        if (full->cleans)
            cleaner_note_done(&writeback->cleaner, -EDQUOT, false);
        segment_abandon(full);
        writeback->budget_at_ms = now + OVER_BUDGET_MS;
        writeback_all_give_up(writeback, -EDQUOT);
        room_tell_waiters(writeback);
        return false;
    }
    writeback->in_flight_bytes += full->evicted_bytes;
    segment_submit(full);
    return true;
}

/* Available blocks are few, or what is used is more than twice what is live: the rest of
 * a file shall not stay allocated.  Cleaning earlier would write more than it frees. */
static bool should_clean(const struct writeback *writeback)
{
    const struct space *space = &writeback->space;
    uint32_t available = space_available(space);
    uint32_t few = space->blocks / 64 + 2 * RESERVED_BLOCKS;
    uint64_t used_bytes = (uint64_t)(space->blocks - available) * BLOCK_BYTES;

    return available < few || used_bytes > 2 * space->live_bytes + CLEAN_BYTES_MIN;
}

/* Adds what is loaded to segments. */
static void clean_on(struct writeback *writeback)
{
    for (;;) {
        int r = 0;

        if (!writeback->cleaning)
            r = segment_begin_cleaning(&writeback->segments, &writeback->cleaning);
        if (r == -ENOSPC && writeback->segments.in_flight == 0)
            cleaner_give_up(&writeback->cleaner); /* nobody will make room for it */
        if (r < 0)
            return; /* a completion calls us again */
        if (cleaner_fill(&writeback->cleaner, writeback->cleaning))
            break;
        if (!submit(writeback, &writeback->cleaning)) {
            cleaner_drop(&writeback->cleaner);
            return;
        }
    }
    evict_again_soon(writeback);
}

/* Whether there are blocks that the cleaner has not looked at since any came to be
 * sparse. */
static bool is_looking_for_sparse(const struct writeback *writeback)
{
    return space_available(&writeback->space) > 0 && should_clean(writeback) &&
           !cleaner_has_looked_everywhere(&writeback->cleaner) &&
           !cleaner_has_enough(&writeback->cleaner);
}

static void clean(struct writeback *writeback)
{
    if (writeback->cleaner.loaded) {
        clean_on(writeback);
        return;
    }
    if (writeback->cleaner.reading > 0)
        return;
    if (space_available(&writeback->space) > 0 && should_clean(writeback) &&
        cleaner_begin(&writeback->cleaner, clock_now_ms()))
        return;
    /* Nothing more to put into it. */
    if (writeback->cleaning && writeback->cleaning->objects > 0)
        submit(writeback, &writeback->cleaning);
    else if (writeback->cleaning) {
        segment_abandon(writeback->cleaning);
        writeback->cleaning = NULL;
    }
    if (!writeback->cleaning)
        cleaner_note_rest(&writeback->cleaner);
    if (is_looking_for_sparse(writeback))
        evict_again_soon(writeback);
}

/* Whether anything is under way that may make blocks available. */
static bool may_get_blocks(const struct writeback *writeback)
{
    return writeback->segments.in_flight > 0 || writeback->cleaning ||
           discards_are_busy(&writeback->discards) ||
           cleaner_is_busy(&writeback->cleaner) || is_looking_for_sparse(writeback) ||
           writeback->space.held > 0;
}

/* No more room will come of eviction: who waits for it need not. */
static void find_full(struct writeback *writeback)
{
    writeback->full_asked = writeback->turn_asked;
    writeback->full = true;
    room_tell_waiters(writeback);
    (void)gate(GATE_ROOM_FULL, 0);
}

struct segment *evict_segment_to_fill(struct writeback *writeback)
{
    if (writeback->filling)
        return writeback->filling;
    /* One buffer stays for the cleaner. */
    int r =
        writeback->segments.in_flight + 1 >= SEGMENTS_IN_FLIGHT
            ? -EAGAIN
            : segment_begin(&writeback->segments, RESERVED_BLOCKS, &writeback->filling);
    writeback->full = false;
    if (r == -ENOSPC && !may_get_blocks(writeback))
        find_full(writeback);
    if (r < 0)
        return NULL;
    cleaner_note_room(&writeback->cleaner);
    writeback->filling_since_ms = clock_now_ms();
    segment_add_aside(writeback->filling);
    return writeback->filling;
}

bool evict_submit_filling(struct writeback *writeback)
{
    return submit(writeback, &writeback->filling);
}

static void relieve(struct writeback *writeback)
{
    if (!room_is_limited(writeback))
        return;
    uint64_t headroom = room_bytes(writeback) + writeback->in_flight_bytes;
    if (writeback->in_flight_bytes == 0)
        room_note_useless(writeback, headroom);
    if (headroom < room_low_mark(writeback))
        writeback->evicting = true;
    if (headroom >= room_high_mark(writeback))
        writeback->evicting = false;
    if (!writeback->evicting || !evict_segment_to_fill(writeback))
        return;

    /* A segment that is not full wastes space: rather a few pages more leave. */
    uint64_t wanted = room_high_mark(writeback) - headroom;
    if (wanted < SEGMENT_BYTES)
        wanted = SEGMENT_BYTES;
    switch (
        select_fill(&writeback->select, writeback->filling, VISITS_PER_STEP, wanted)) {
    case SELECT_FULL:
        if (submit(writeback, &writeback->filling))
            evict_again_soon(writeback);
        break;
    case SELECT_MORE:
        evict_again_soon(writeback);
        break;
    case SELECT_BARREN:
        if (writeback->filling->objects > 0)
            submit(writeback, &writeback->filling);
        else if (writeback->segments.in_flight == 0)
            find_full(writeback); /* nothing is left that could leave */
        break;
    }
}

static void write_idle(struct writeback *writeback)
{
    struct segment *segment = evict_segment_to_fill(writeback);

    switch (idle_fill(&writeback->idle, segment, VISITS_PER_STEP, clock_now_ms())) {
    case IDLE_FULL:
        if (submit(writeback, &writeback->filling))
            evict_again_soon(writeback);
        break;
    case IDLE_MORE:
        evict_again_soon(writeback);
        break;
    case IDLE_REST:
        break;
    }
}

/* Evictions leave free places, of which compaction makes free RAM: at once after
 * memory-limit was lowered, and else when nothing more is about to leave, since requests that
 * would do it on their way may not come. */
static void shrink(struct writeback *writeback)
{
    struct parts *parts = writeback->parts;
    bool over = memory_used_bytes(&parts->memory) > parts->memory.limit_bytes;

    if (!over && (writeback->segments.in_flight > 0 || writeback->filling))
        return;
    struct context *context = context_take(&parts->contexts);
    if (over ? compact_try(parts, context) : compact_a_little(parts, context))
        evict_again_soon(writeback);
    context_give(&parts->contexts, context);
}

void evict_work(struct writeback *writeback)
{
    uint64_t now = clock_now_ms();
    uint64_t rest_until = writeback->retry_at_ms > writeback->budget_at_ms
                              ? writeback->retry_at_ms
                              : writeback->budget_at_ms;
    bool all = writeback_all_is_wanted(writeback);

    {
        LOCK_FOR_SCOPE(&writeback->room_lock);
        writeback->turn_asked = writeback->room_asked;
    }
    /* A server that hangs may have a write twice, and do one of them late: what it hits then is
     * as old as can be. */
    space_set_reuses(&writeback->space,
                     !writeback->backing->outlives_us && now >= writeback->reuse_at_ms);
    /* Segments have been promised some, and the cleaner needs its own. */
    discards_step(&writeback->discards, writeback->segments.promised + RESERVED_BLOCKS,
                  now);
    if (now < rest_until)
        come_back_in(writeback, rest_until - now);
    if (now >= writeback->budget_at_ms)
        writeback->over_budget = false;
    if (!writeback->ready || now < rest_until) {
        writeback->full = false; /* nobody knows */
        return;
    }
    if (writeback->filling && writeback->filling->objects == 0)
        writeback->filling_since_ms = now;
    clean(writeback);
    if (writeback->idle.unit_ms)
        write_idle(writeback);
    if (all)
        writeback_all_step(writeback, VISITS_PER_STEP);
    relieve(writeback);
    shrink(writeback);
    if (writeback->segments.aside_count && !writeback->filling)
        evict_segment_to_fill(writeback);
    /* What has waited long enough for company goes without. */
    if (writeback->filling && writeback->filling->objects > 0 &&
        now >= writeback->filling_since_ms + FILLING_MAX_MS)
        submit(writeback, &writeback->filling);
}

bool evict_is_idle(struct writeback *writeback)
{
    return writeback->segments.in_flight == 0 && writeback->cleaner.reading == 0 &&
           !discards_are_busy(&writeback->discards) && !writeback->header_busy &&
           fetch_table_is_idle(&writeback->fetches);
}
