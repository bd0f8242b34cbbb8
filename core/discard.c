/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "discard.h"

/* Blocks that one discard covers at most. */
#define RUN_MAX 1024u

static uint32_t min(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void on_discarded(struct backing_io *io, int result)
{
    struct discard *discard = io->opaque;
    struct discards *discards = discard->discards;

    (void)result; /* space that could not be given back is used again all the same */
    discard->busy = false;
    space_put_back(discards->space, discard->first, discard->count, true);
    discards->wake(discards->opaque);
}

static void look(struct discards *discards, uint64_t now_ms)
{
    uint32_t empty = space_empty_blocks(discards->space);

    discards->least = min(discards->least, empty);
    discards->surplus = min(discards->surplus, discards->least);
    if (now_ms < discards->since_ms + DISCARD_AFTER_MS)
        return;
    discards->surplus = discards->least;
    discards->least = empty;
    discards->since_ms = now_ms;
}

/* False: nothing more may go, or there is nothing. */
static bool begin(struct discards *discards, struct discard *discard, uint32_t reserve)
{
    uint32_t available = space_available(discards->space);
    uint32_t most = min(discards->surplus, RUN_MAX);

    if (available <= reserve || space_is_short(discards->space))
        return false;
    discard->count = space_take_empty(discards->space, min(most, available - reserve),
                                      &discard->first);
    if (discard->count == 0) {
        discards->surplus = 0;
        return false;
    }
    discards->surplus -= discard->count;
    discard->discards = discards;
    discard->busy = true;
    discard->io = (struct backing_io){
        .op = BACKING_DISCARD,
        .offset = (uint64_t)discard->first * BLOCK_BYTES,
        .bytes = discard->count * BLOCK_BYTES,
        .done = on_discarded,
        .opaque = discard,
    };
    backing_submit(discards->backing, &discard->io);
    return true;
}

void discards_step(struct discards *discards, uint32_t reserve, uint64_t now_ms)
{
    look(discards, now_ms);
    for (unsigned i = 0; i < DISCARDS_MAX && discards->surplus > 0; i++)
        if (!discards->all[i].busy && !begin(discards, &discards->all[i], reserve))
            return;
}

void discards_hurry(struct discards *discards)
{
    discards->surplus = discards->least = space_empty_blocks(discards->space);
}

bool discards_are_busy(const struct discards *discards)
{
    for (unsigned i = 0; i < DISCARDS_MAX; i++)
        if (discards->all[i].busy)
            return true;
    return false;
}
