/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "clean.h"

#include <errno.h>
#include <stddef.h>

/* The sparsest of so many is nearly the sparsest of all, at a bounded cost. */
#define CANDIDATES 256

/* Above this share of live bytes, in 1/16, cleaning moves much and frees little. */
#define LIVE_MAX_16TH 14

int cleaner_open(struct cleaner *cleaner, struct segment_set *segments,
                 bool lock_in_ram)
{
    cleaner->segments = segments;
    cleaner->hand = 1;
    return region_open(&cleaner->region, REGION_PRIVATE, "zslot-cleaner", SEGMENT_BYTES,
                       &segments->parts->memory, lock_in_ram);
}

int cleaner_start(struct cleaner *cleaner)
{
    int r = region_start(&cleaner->region);

    return r < 0 ? r : region_commit(&cleaner->region, 0, cleaner->region.bytes);
}

void cleaner_close(struct cleaner *cleaner)
{
    region_close(&cleaner->region);
}

static void on_read(struct backing_io *io, int result)
{
    struct cleaner *cleaner =
        (struct cleaner *)((char *)io - offsetof(struct cleaner, io));
    struct segment_set *segments = cleaner->segments;
    const struct segment_header *header =
        (const struct segment_header *)cleaner->region.base;

    cleaner->reading = false;
    cleaner->loaded = result == 0 && segment_header_holds(header, segments->identity);
    if (cleaner->loaded) {
        cleaner->at = sizeof *header;
        cleaner->bytes = header->bytes;
    } else {
        cleaner->failed++;
        space_unpin(segments->space, (address_t){io->offset});
    }
    cleaner->wake(cleaner->opaque);
}

/* The sparsest of the next candidates, if cleaning is worth it; else SEGMENT_NONE.  It is
 * when what is dead in them makes a whole segment: less would be moved about for nothing,
 * for ever.  Once begun, an output takes what there is. */
static uint32_t choose(struct cleaner *cleaner)
{
    struct space *space = cleaner->segments->space;
    uint32_t left = space->segments < CANDIDATES ? space->segments : CANDIDATES;
    uint32_t best = SEGMENT_NONE, least = UINT32_MAX;
    uint64_t dead = 0;

    for (; left > 0; left--) {
        uint32_t room, live = space_cleanable_bytes(space, cleaner->hand, &room);

        if (live > 0 && live < room / 16 * LIVE_MAX_16TH) {
            dead += room - live;
            if (live < least) {
                least = live;
                best = cleaner->hand;
            }
        }
        cleaner->hand = cleaner->hand % space->segments + 1;
    }
    return dead >= SEGMENT_BYTES || cleaner->tried_count > 0 ? best : SEGMENT_NONE;
}

bool cleaner_begin(struct cleaner *cleaner)
{
    struct space *space = cleaner->segments->space;

    if (cleaner->tried_count == CLEAN_TRIED_MAX)
        return false;
    /* The pin lasts until the buffer is done with: while an address cannot be used again,
     * what was read there is what a slot that refers to it means. */
    uint32_t victim = choose(cleaner);
    if (victim == SEGMENT_NONE || !space_try_pin_segment(space, victim))
        return false;

    space_set_tried(space, victim, true);
    cleaner->tried[cleaner->tried_count++] = victim;
    cleaner->victim = victim;
    cleaner->reading = true;
    cleaner->io = (struct backing_io){
        .op = BACKING_READ,
        .offset = (uint64_t)victim * SEGMENT_BYTES,
        .bytes = SEGMENT_BYTES,
        .buffer = cleaner->region.base,
        .done = on_read,
    };
    backing_submit(cleaner->segments->backing, &cleaner->io);
    return true;
}

void cleaner_note_submitted(struct cleaner *cleaner)
{
    cleaner->outputs++;
}

void cleaner_note_done(struct cleaner *cleaner, int result, bool more)
{
    cleaner->outputs--;
    if (result < 0) /* they are sparse still, those of them that are still there */
        for (unsigned i = 0; i < cleaner->tried_count; i++)
            space_set_tried(cleaner->segments->space, cleaner->tried[i], false);
    if (result < 0 || (cleaner->outputs == 0 && !more))
        cleaner->tried_count = 0;
}

void cleaner_drop(struct cleaner *cleaner)
{
    cleaner->loaded = false;
    space_unpin(cleaner->segments->space, (address_t){cleaner->io.offset});
}

bool cleaner_fill(struct cleaner *cleaner, struct segment *out)
{
    while (cleaner->at + sizeof(struct object_header) <= cleaner->bytes) {
        const struct object_header *object =
            (const struct object_header *)(cleaner->region.base + cleaner->at);
        address_t here = {(uint64_t)cleaner->victim * SEGMENT_BYTES + cleaner->at};
        uint32_t bytes = segment_object_bytes(object->length);

        if (object->length == 0 || object->length > PAGE_BYTES ||
            cleaner->at + bytes > cleaner->bytes)
            break; /* damaged: what is live behind it stays here */
        if (segment_add_stored(out, object, here) == -ENOSPC)
            return false;
        cleaner->at += bytes;
    }
    cleaner->cleaned++;
    cleaner_drop(cleaner);
    return true;
}
