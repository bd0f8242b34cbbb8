/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "clean.h"

#include <errno.h>
#include <string.h>

/* A block that could not be read is left alone for so long; and so are all when cleaning was in
 * vain. */
#define REFUSED_MS 10000

/* It was when so many blocks were cleaned, or twice as many as there are, and no more are available for
 * it.  Objects that are split are moved in the hope that they will stand closer together: where few blocks are
 * available, and these apart, they do not, and the same is found again for ever. */
#define VAIN_BLOCKS_MAX 16384u

/* It is tried again before that when this share of the store was released. */
#define VAIN_SHARE 64

int cleaner_open(struct cleaner *cleaner, struct segment_set *segments,
                 bool lock_in_ram)
{
    cleaner->segments = segments;
    sparse_init(&cleaner->sparse, segments->space);
    return region_open(&cleaner->region, REGION_PRIVATE, "zslot-cleaner",
                       CLEAN_BLOCKS * BLOCK_BYTES, &segments->parts->memory,
                       lock_in_ram);
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

static void unpin(struct cleaner *cleaner, const struct victim *victim)
{
    struct space *space = cleaner->segments->space;

    space_unpin_block(space, victim->block);
    if (victim->before.block > 0)
        space_unpin_block(space, victim->before.block);
    if (victim->behind.block > 0)
        space_unpin_block(space, victim->behind.block);
}

/* -- Reading, victims first, and then the other parts of split objects in them. -- */

static void on_read(struct backing_io *io, int result);

static void note_failed(struct victim *victim)
{
    victim->failed = true;
    victim->cleaner->failed++;
}

/* Into the next block of the buffer. */
static struct backing_io make_read(struct victim *victim, uint32_t block)
{
    struct cleaner *cleaner = victim->cleaner;

    return (struct backing_io){
        .op = BACKING_READ,
        .offset = (uint64_t)block * BLOCK_BYTES,
        .bytes = BLOCK_BYTES,
        .buffer = cleaner->region.base + cleaner->blocks++ * BLOCK_BYTES,
        .done = on_read,
        .opaque = victim,
    };
}

/* Where the object of SLOT is; nowhere if it is not split. */
static struct object_place split_place(struct cleaner *cleaner, slot_t slot,
                                       address_t *address)
{
    struct slot_table *slots = &cleaner->segments->parts->slots;
    struct object_place place = {0};
    struct slot_content content;

    if (slot >= slots->slots || !slot_lock(slots, slot, SLOT_INSPECT, &content))
        return place;
    if (content.state == SLOT_STORED) {
        *address = (address_t){content.ref};
        place = address_place(*address, content.length);
    }
    slot_unlock(slots, slot);
    return place.rest_bytes > 0 ? place : (struct object_place){0};
}

static const struct victim *find_victim(const struct cleaner *cleaner, uint32_t block)
{
    for (unsigned i = 0; i < cleaner->count; i++)
        if (cleaner->victims[i].block == block)
            return &cleaner->victims[i];
    return NULL;
}

/* Has BLOCK read, unless it is. */
static void pair(struct victim *victim, struct partner *partner, uint32_t block)
{
    struct cleaner *cleaner = victim->cleaner;
    const struct victim *other = find_victim(cleaner, block);

    if (other && other->failed)
        note_failed(victim);
    else if (other)
        partner->content = other->content;
    else if (space_try_pin_block(cleaner->segments->space, block)) {
        partner->block = block;
        partner->io = make_read(victim, block);
        partner->content = partner->io.buffer;
        cleaner->reading++;
    }
}

/* The object that ends here.  What begins in a block that is tried itself moves from there. */
static void pair_rest(struct victim *victim, slot_t slot)
{
    struct partner *before = &victim->before;
    struct object_place place = split_place(victim->cleaner, slot, &before->address);

    before->slot = slot;
    if (place.rest_block == victim->block &&
        !space_is_tried(victim->cleaner->segments->space, place.block))
        pair(victim, before, place.block);
}

/* The object that begins here and goes on elsewhere. */
static void pair_head(struct victim *victim, slot_t slot)
{
    struct partner *behind = &victim->behind;
    struct object_place place = split_place(victim->cleaner, slot, &behind->address);

    behind->slot = slot;
    if (place.block == victim->block)
        pair(victim, behind, place.rest_block);
}

/* Steps over a header and what is behind it.  NULL: the end; or damaged: what is live behind
 * it stays there. */
static const struct object_header *next_object(const char *block, uint32_t *at)
{
    const struct object_header *header = (const struct object_header *)(block + *at);

    if (*at + sizeof *header > BLOCK_BYTES || header->length == 0 ||
        header->length >= BLOCK_BYTES || (header->is_rest && *at > 0))
        return NULL;
    *at += object_parts_at(*at, header->length).bytes;
    return header;
}

static bool is_split(const struct object_header *header, uint32_t at)
{
    return object_parts_at(at, header->length).rest_bytes > 0;
}

static void find_partners(struct victim *victim)
{
    const struct object_header *header;

    for (uint32_t at = 0, next = 0; (header = next_object(victim->content, &next));
         at = next)
        if (header->is_rest)
            pair_rest(victim, header->slot);
        else if (is_split(header, at))
            pair_head(victim, header->slot);
}

static void read_partners(struct cleaner *cleaner)
{
    struct backing *backing = cleaner->segments->backing;

    for (unsigned i = 0; i < cleaner->count; i++)
        if (!cleaner->victims[i].failed)
            find_partners(&cleaner->victims[i]);
    for (unsigned i = 0; i < cleaner->count; i++) {
        struct victim *victim = &cleaner->victims[i];

        if (victim->before.block > 0)
            backing_submit(backing, &victim->before.io);
        if (victim->behind.block > 0)
            backing_submit(backing, &victim->behind.io);
    }
}

static void on_read(struct backing_io *io, int result)
{
    struct victim *victim = io->opaque;
    struct cleaner *cleaner = victim->cleaner;

    if (result < 0 && !victim->failed)
        note_failed(victim);
    if (--cleaner->reading > 0)
        return;
    if (!cleaner->paired) {
        cleaner->paired = true;
        read_partners(cleaner);
        if (cleaner->reading > 0)
            return;
    }
    cleaner->loaded = true;
    cleaner->victim = 0;
    cleaner->at = 0;
    cleaner->wake(cleaner->opaque);
}

/* -- What to clean. -- */

/* Those of the last batch that could not be read are left alone for a while; and so is all
 * when none could. */
static void note_refused(struct cleaner *cleaner, uint64_t now_ms)
{
    unsigned failed = 0;

    for (unsigned i = 0; i < cleaner->count; i++) {
        if (!cleaner->victims[i].failed)
            continue;
        failed++;
        if (cleaner->refused_count == CLEAN_BLOCKS)
            space_set_tried(cleaner->segments->space,
                            cleaner->refused[--cleaner->refused_count], false);
        cleaner->refused[cleaner->refused_count++] = cleaner->victims[i].block;
        cleaner->refused_ms = now_ms;
    }
    cleaner->resting |= failed > 0 && failed == cleaner->count;
    cleaner->count = 0;
    if (now_ms < cleaner->refused_ms + REFUSED_MS)
        return;
    cleaner->resting = false;
    while (cleaner->refused_count > 0)
        space_set_tried(cleaner->segments->space,
                        cleaner->refused[--cleaner->refused_count], false);
}

/* -- Whether it is of use. -- */

void cleaner_note_room(struct cleaner *cleaner)
{
    cleaner->most_available = 0;
    cleaner->cleaned_since = 0;
}

static void end_vain(struct cleaner *cleaner, uint64_t now_ms)
{
    const struct space *space = cleaner->segments->space;
    uint64_t released = space_released_bytes(space) - cleaner->vain_released;

    if (now_ms >= cleaner->vain_ms + REFUSED_MS ||
        released > (uint64_t)space->blocks / VAIN_SHARE * BLOCK_BYTES)
        cleaner->is_vain = false;
}

static void note_vain(struct cleaner *cleaner, uint64_t now_ms)
{
    const struct space *space = cleaner->segments->space;
    uint64_t most = 2 * (uint64_t)space->blocks;

    if (space_available(space) > cleaner->most_available) {
        cleaner->most_available = space_available(space);
        cleaner->cleaned_since = 0;
    }
    if (cleaner->cleaned_since <= (most < VAIN_BLOCKS_MAX ? most : VAIN_BLOCKS_MAX))
        return;
    cleaner_note_room(cleaner);
    cleaner->is_vain = true;
    cleaner->vain_ms = now_ms;
    cleaner->vain_released = space_released_bytes(space);
}

bool cleaner_has_looked_everywhere(const struct cleaner *cleaner)
{
    const struct space *space = cleaner->segments->space;

    return cleaner->resting || cleaner->is_vain ||
           sparse_has_looked_everywhere(&cleaner->sparse, space_is_split(space));
}

static unsigned tried_left(const struct cleaner *cleaner)
{
    return CLEAN_TRIED_MAX - cleaner->tried_count;
}

bool cleaner_has_enough(const struct cleaner *cleaner)
{
    return tried_left(cleaner) < SPARSE_MOST_MIN;
}

bool cleaner_is_busy(const struct cleaner *cleaner)
{
    return cleaner->reading > 0 || cleaner->loaded;
}

void cleaner_note_rest(struct cleaner *cleaner)
{
    if (cleaner->outputs == 0 && !cleaner_is_busy(cleaner))
        cleaner->tried_count = 0;
}

bool cleaner_begin(struct cleaner *cleaner, uint64_t now_ms)
{
    struct space *space = cleaner->segments->space;
    uint32_t blocks[CLEAN_BLOCKS];

    note_refused(cleaner, now_ms);
    if (cleaner->is_vain)
        end_vain(cleaner, now_ms);
    else
        note_vain(cleaner, now_ms);
    if (cleaner->resting || cleaner->is_vain || cleaner_has_enough(cleaner))
        return false;
    cleaner->paired = space->split_bytes == 0;
    cleaner->blocks = 0;
    unsigned left = tried_left(cleaner);
    const struct sparse_terms terms = {
        .most = left < CLEAN_BLOCKS ? left : CLEAN_BLOCKS,
        .splits = space_is_split(space),
        .gathering = cleaner->tried_count > 0,
    };
    unsigned count = sparse_find(&cleaner->sparse, &terms, blocks);

    /* The pins last until the buffer is done with: while an address cannot be used again,
     * what was read there is what a slot that refers to it means. */
    for (unsigned i = 0; i < count; i++) {
        struct victim *victim = &cleaner->victims[cleaner->count];

        if (!space_try_pin_block(space, blocks[i]))
            continue;
        space_set_tried(space, blocks[i], true);
        cleaner->tried[cleaner->tried_count++] = blocks[i];
        victim->cleaner = cleaner;
        victim->block = blocks[i];
        victim->failed = false;
        victim->before = victim->behind = (struct partner){0};
        victim->io = make_read(victim, victim->block);
        victim->content = victim->io.buffer;
        cleaner->count++;
    }
    cleaner->cleaned_since += cleaner->count;
    cleaner->reading = cleaner->count;
    for (unsigned i = 0; i < cleaner->count; i++)
        backing_submit(cleaner->segments->backing, &cleaner->victims[i].io);
    return cleaner->count > 0;
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

void cleaner_give_up(struct cleaner *cleaner)
{
    cleaner_drop(cleaner);
    for (unsigned i = 0; i < cleaner->tried_count; i++)
        space_set_tried(cleaner->segments->space, cleaner->tried[i], false);
    if (cleaner->outputs == 0)
        cleaner->tried_count = 0;
}

void cleaner_drop(struct cleaner *cleaner)
{
    for (; cleaner->victim < cleaner->count; cleaner->victim++)
        unpin(cleaner, &cleaner->victims[cleaner->victim]);
    cleaner->loaded = false;
}

/* The object whose header is at AT in a victim's block. */
static int move(struct segment *out, const struct victim *victim,
                const struct object_header *header, uint32_t at)
{
    const struct partner *before = &victim->before, *behind = &victim->behind;

    if (header->is_rest)
        return before->content ? segment_add_stored(out, before->slot, before->address,
                                                    before->content, victim->content)
                               : -EAGAIN;
    if (is_split(header, at))
        return behind->content ? segment_add_stored(out, behind->slot, behind->address,
                                                    victim->content, behind->content)
                               : -EAGAIN;
    return segment_add_stored(out, header->slot,
                              address_make(victim->block, at, header->checksum),
                              victim->content, NULL);
}

/* The live objects of one block, from cleaner->at on. */
static bool fill_from(struct cleaner *cleaner, const struct victim *victim,
                      struct segment *out)
{
    const struct object_header *header;
    uint32_t next = cleaner->at;

    for (; (header = next_object(victim->content, &next)); cleaner->at = next)
        if (move(out, victim, header, cleaner->at) == -ENOSPC)
            return false;
    return true;
}

bool cleaner_fill(struct cleaner *cleaner, struct segment *out)
{
    for (; cleaner->victim < cleaner->count; cleaner->victim++, cleaner->at = 0) {
        const struct victim *victim = &cleaner->victims[cleaner->victim];

        if (!victim->failed) {
            if (!fill_from(cleaner, victim, out))
                return false;
            cleaner->cleaned++;
        }
        unpin(cleaner, victim);
    }
    cleaner->loaded = false;
    return true;
}
