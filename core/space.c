/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "space.h"

#include <assert.h>
#include <errno.h>

#include "cleanup.h"
#include "page.h"
#include "segment-format.h"

enum segment_state { SEGMENT_FREE, SEGMENT_FILLING, SEGMENT_USED, SEGMENT_EMPTY };

struct segment_info {
    _Atomic uint32_t live_bytes;
    _Atomic uint32_t pins;
    _Atomic uint32_t room;
    uint32_t next; /* guarded by the space's lock, as is state */
    _Atomic uint16_t state;
    _Atomic bool tried; /* to clean; until it is put back */
};

static struct segment_info *info_of(const struct space *space, uint32_t segment)
{
    assert(segment >= 1 && segment <= space->segments);
    return (struct segment_info *)space->infos.base + segment;
}

static uint32_t segment_of(address_t address)
{
    return (uint32_t)(address.value / SEGMENT_BYTES);
}

static uint32_t segment_count(uint64_t backing_bytes)
{
    uint64_t segments =
        backing_bytes / SEGMENT_BYTES - 1; /* the first has the header */

    return segments < SEGMENT_NONE ? (uint32_t)segments : SEGMENT_NONE - 1;
}

uint64_t space_fixed_bytes(uint64_t backing_bytes)
{
    uint64_t bytes =
        ((uint64_t)segment_count(backing_bytes) + 1) * sizeof(struct segment_info);

    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

int space_open(struct space *space, uint64_t backing_bytes, struct memory *memory,
               bool lock_in_ram)
{
    space->segments = segment_count(backing_bytes);
    space->free_head = space->empty_head = SEGMENT_NONE;
    space->high = 0;
    atomic_init(&space->used, 0);
    atomic_init(&space->live_bytes, 0);
    int r = region_open(&space->infos, REGION_PRIVATE, "zslot-segments",
                        space_fixed_bytes(backing_bytes), memory, lock_in_ram);
    if (r < 0)
        return r;
    lock_init(&space->lock, LOCK_RANK_SPACE);
    return 0;
}

int space_start(struct space *space)
{
    int r = region_start(&space->infos);

    return r < 0 ? r : region_commit(&space->infos, 0, space->infos.bytes);
}

void space_close(struct space *space)
{
    if (!space->infos.base)
        return;
    lock_destroy(&space->lock);
    region_close(&space->infos);
}

int space_take(struct space *space, uint32_t *segment)
{
    LOCK_FOR_SCOPE(&space->lock);

    if (space->free_head != SEGMENT_NONE) {
        *segment = space->free_head;
        space->free_head = info_of(space, *segment)->next;
    } else if (space->high < space->segments)
        *segment = ++space->high;
    else
        return -ENOSPC;
    info_of(space, *segment)->state = SEGMENT_FILLING;
    space->used++;
    return 0;
}

/* Nothing refers to the segment and nobody reads it: it can be used again. */
static void retire_if_empty(struct space *space, uint32_t segment)
{
    struct segment_info *info = info_of(space, segment);
    LOCK_FOR_SCOPE(&space->lock);

    if (info->state != SEGMENT_USED || info->live_bytes > 0 || info->pins > 0)
        return;
    info->state = SEGMENT_EMPTY;
    info->next = space->empty_head;
    space->empty_head = segment;
}

void space_landed(struct space *space, uint32_t segment, uint32_t live_bytes,
                  uint32_t room)
{
    struct segment_info *info = info_of(space, segment);
    LOCK_FOR_SCOPE(&space->lock);

    assert(info->state == SEGMENT_FILLING);
    info->live_bytes = live_bytes;
    info->room = room;
    info->state = SEGMENT_USED;
    space->live_bytes += live_bytes;
}

void space_release(struct space *space, address_t address, uint32_t length)
{
    uint32_t segment = segment_of(address), bytes = segment_object_bytes(length);
    uint32_t before = atomic_fetch_sub(&info_of(space, segment)->live_bytes, bytes);

    assert(before >= bytes);
    space->live_bytes -= bytes;
    if (before == bytes)
        retire_if_empty(space, segment);
}

void space_pin(struct space *space, address_t address)
{
    info_of(space, segment_of(address))->pins++;
}

bool space_try_pin_segment(struct space *space, uint32_t segment)
{
    struct segment_info *info = info_of(space, segment);
    LOCK_FOR_SCOPE(&space->lock);

    if (info->state != SEGMENT_USED)
        return false;
    info->pins++;
    return true;
}

void space_unpin(struct space *space, address_t address)
{
    struct segment_info *info = info_of(space, segment_of(address));

    if (--info->pins == 0 && info->live_bytes == 0)
        retire_if_empty(space, segment_of(address));
}

bool space_next_empty(struct space *space, uint32_t *segment)
{
    LOCK_FOR_SCOPE(&space->lock);

    if (space->empty_head == SEGMENT_NONE)
        return false;
    *segment = space->empty_head;
    space->empty_head = info_of(space, *segment)->next;
    return true;
}

void space_put_back(struct space *space, uint32_t segment)
{
    struct segment_info *info = info_of(space, segment);
    LOCK_FOR_SCOPE(&space->lock);

    assert(info->state == SEGMENT_FILLING || info->state == SEGMENT_EMPTY);
    info->state = SEGMENT_FREE;
    info->tried = false;
    info->next = space->free_head;
    space->free_head = segment;
    space->used--;
}

uint32_t space_free_segments(struct space *space)
{
    return space->segments - space->used;
}

uint32_t space_cleanable_bytes(struct space *space, uint32_t segment, uint32_t *room)
{
    struct segment_info *info = info_of(space, segment);

    *room = info->room;
    return info->state == SEGMENT_USED && !info->tried ? info->live_bytes : 0;
}

void space_set_tried(struct space *space, uint32_t segment, bool tried)
{
    info_of(space, segment)->tried = tried;
}
