/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "clean.h"

#include <errno.h>
#include <string.h>

/* The sparsest of so many are nearly the sparsest of all, at a bounded cost: some ten
 * microseconds. */
#define CANDIDATES 4096u

/* Live bytes are told apart so far. */
#define LIVE_STEP 64u
#define LIVE_STEPS (BLOCK_BYTES / LIVE_STEP + 1)

/* With fewer dead bytes in a block cleaning moves much and frees little. */
#define DEAD_BYTES_MIN (BLOCK_BYTES / 8)

/* A block that could not be read is left alone for so long. */
#define REFUSED_MS 10000

/* What is dead in blocks that are cleaned together must make so many whole ones: less would
 * be moved about for nothing, for ever. */
#define DEAD_BLOCKS_MIN 8u

/* This share of the store released: it is looked at anew. */
#define LOOK_SHARE 1024

int cleaner_open(struct cleaner *cleaner, struct segment_set *segments,
                 bool lock_in_ram)
{
    cleaner->segments = segments;
    cleaner->hand = 1;
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
    space_unpin(cleaner->segments->space, victim->block);
}

static void on_read(struct backing_io *io, int result)
{
    struct victim *victim = io->opaque;
    struct cleaner *cleaner = victim->cleaner;

    victim->failed = result < 0;
    cleaner->failed += victim->failed;
    if (--cleaner->reading > 0)
        return;
    cleaner->loaded = true;
    cleaner->victim = 0;
    cleaner->at = 0;
    cleaner->wake(cleaner->opaque);
}

/* How many live bytes the sparsest MOST of the next candidates have at most, in steps; 0:
 * there is nothing to clean among them. */
static unsigned sparsest(const struct cleaner *cleaner, uint32_t candidates,
                         unsigned most)
{
    const struct space *space = cleaner->segments->space;
    unsigned counts[LIVE_STEPS] = {0}, found = 0, step;
    uint32_t block = cleaner->hand;

    for (; candidates > 0; candidates--) {
        uint32_t dead, live = space_cleanable_bytes(space, block, &dead);

        if (live > 0 && dead >= DEAD_BYTES_MIN)
            counts[(live + LIVE_STEP - 1) / LIVE_STEP]++;
        block = block % space->blocks + 1;
    }
    for (step = 0; step + 1 < LIVE_STEPS && found < most; step++)
        found += counts[step + 1];
    return found > 0 ? step : 0;
}

/* Whether so much was released since the look at the store began that blocks it has passed may
 * be worth a look again: with less it would go on for ever while pages are overwritten. */
static bool is_outdated(const struct cleaner *cleaner)
{
    const struct space *space = cleaner->segments->space;
    uint64_t much = space->blocks / LOOK_SHARE;

    if (much < DEAD_BLOCKS_MIN)
        much = DEAD_BLOCKS_MIN;
    return space_released_bytes(space) - cleaner->looked_released >= much * BLOCK_BYTES;
}

static void look_anew(struct cleaner *cleaner)
{
    cleaner->looked_at = 0;
    cleaner->looked_released = space_released_bytes(cleaner->segments->space);
}

static unsigned choose(struct cleaner *cleaner)
{
    struct space *space = cleaner->segments->space;
    uint32_t candidates = space->blocks < CANDIDATES ? space->blocks : CANDIDATES;
    unsigned most = CLEAN_TRIED_MAX - cleaner->tried_count;

    if (most > CLEAN_BLOCKS)
        most = CLEAN_BLOCKS;
    uint32_t live_max = sparsest(cleaner, candidates, most) * LIVE_STEP, dead_sum = 0;
    unsigned count = 0;

    if (is_outdated(cleaner))
        look_anew(cleaner);
    if (cleaner->looked_at < space->blocks)
        cleaner->looked_at += candidates;
    for (; candidates > 0; candidates--) {
        uint32_t dead, live = space_cleanable_bytes(space, cleaner->hand, &dead);

        if (live > 0 && live <= live_max && dead >= DEAD_BYTES_MIN && count < most) {
            cleaner->victims[count++].block = cleaner->hand;
            dead_sum += dead;
        }
        cleaner->hand = cleaner->hand % space->blocks + 1;
    }
    /* Once begun, an output takes what there is. */
    if (dead_sum < DEAD_BLOCKS_MIN * BLOCK_BYTES && cleaner->tried_count == 0)
        return 0;
    if (count > 0)
        look_anew(cleaner);
    return count;
}

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

bool cleaner_has_looked_everywhere(const struct cleaner *cleaner)
{
    const struct space *space = cleaner->segments->space;

    return cleaner->resting ||
           (cleaner->looked_at >= space->blocks && !is_outdated(cleaner));
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

    note_refused(cleaner, now_ms);
    if (cleaner->resting)
        return false;
    unsigned count = choose(cleaner);

    /* The pins last until the buffer is done with: while an address cannot be used again,
     * what was read there is what a slot that refers to it means. */
    for (unsigned i = 0; i < count; i++) {
        struct victim *victim = &cleaner->victims[cleaner->count];

        victim->block = cleaner->victims[i].block;
        if (!space_try_pin(space, victim->block))
            continue;
        space_set_tried(space, victim->block, true);
        cleaner->tried[cleaner->tried_count++] = victim->block;
        victim->cleaner = cleaner;
        victim->failed = false;
        victim->io = (struct backing_io){
            .op = BACKING_READ,
            .offset = (uint64_t)victim->block * BLOCK_BYTES,
            .bytes = BLOCK_BYTES,
            .buffer = cleaner->region.base + cleaner->count * BLOCK_BYTES,
            .done = on_read,
            .opaque = victim,
        };
        cleaner->count++;
    }
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

/* The live objects of one block, from cleaner->at on. */
static bool fill_from(struct cleaner *cleaner, const struct victim *victim,
                      struct segment *out)
{
    const char *block = cleaner->region.base + cleaner->victim * BLOCK_BYTES;

    while (cleaner->at + sizeof(struct object_header) <= BLOCK_BYTES) {
        const struct object_header *object =
            (const struct object_header *)(block + cleaner->at);
        uint32_t bytes = block_object_bytes(object->length);

        if (object->length == 0 || object->length >= BLOCK_BYTES ||
            cleaner->at + bytes > BLOCK_BYTES)
            break; /* the end; or damaged: what is live behind it stays here */
        if (segment_add_stored(
                out, object,
                address_make(victim->block, cleaner->at, object->checksum)) == -ENOSPC)
            return false;
        cleaner->at += bytes;
    }
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
