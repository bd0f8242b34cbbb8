/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "space.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "page.h"

/* A block's word: live bytes, flags, what was live when it landed, pins. */
#define LIVE_MASK 0x1fffu
#define USED 0x2000u
#define TRIED 0x4000u /* to clean */
#define HELD TRIED    /* of a block that is not USED */
#define FILLED_SHIFT 15
#define FILLED_MASK 0x3f8000u
#define FILLED_UNIT 64u
#define PIN_ONE 0x400000u
#define PIN_MASK 0xffc00000u

_Static_assert(BLOCK_BYTES <= LIVE_MASK, "live bytes fit");
_Static_assert(BLOCK_BYTES / FILLED_UNIT <= FILLED_MASK >> FILLED_SHIFT, "so do these");

/* EMPTY blocks are used again when so many are neighbours.  Fewer would make many small writes of
 * one large one: those are discarded before long, unless blocks are short, and FREE then. */
#define REUSE_MIN 16u

/* Such neighbours are looked for in so many places at a time. */
#define REUSE_LOOKS 4u

/* Below this share of all, available blocks are short. */
#define SHORT_SHARE 8

/* The length of split objects is an average of about so many. */
#define SPLIT_AVERAGE_OF 256

/* Of live bytes, in split objects: that is many. */
#define SPLIT_SHARE 16

typedef _Atomic uint32_t word_t;

static word_t *word_of(const struct space *space, uint32_t block)
{
    assert(block >= 1 && block <= space->blocks);
    return (word_t *)space->region.base + block;
}

/* -- Life. -- */

static uint32_t block_count(uint64_t backing_bytes)
{
    uint64_t blocks = backing_bytes / BLOCK_BYTES - 1; /* the first has the header */

    return blocks < UINT32_MAX ? (uint32_t)blocks : UINT32_MAX - 1;
}

static uint64_t words_bytes(uint32_t blocks)
{
    return ((uint64_t)blocks + 2) / 2 * 2 * sizeof(word_t);
}

uint64_t space_fixed_bytes(uint64_t backing_bytes)
{
    uint32_t blocks = block_count(backing_bytes);
    uint64_t bytes =
        words_bytes(blocks) +
        2 * (block_map_words(blocks) + block_map_some_words(blocks)) * sizeof(uint64_t);

    return page_round_up(bytes);
}

int space_open(struct space *space, uint64_t backing_bytes, struct memory *memory,
               bool lock_in_ram)
{
    space->blocks = block_count(backing_bytes);
    space->free = space->empty = (struct block_map){.hand = 1};
    atomic_init(&space->split_bytes, 0);
    atomic_init(&space->split_live_bytes, 0);
    atomic_init(&space->live_bytes, 0);
    space->landed_bytes = 0;
    space->reuses = false;
    space->reuse_from = 0;
    int r = region_open(&space->region, REGION_PRIVATE, "zslot-blocks",
                        space_fixed_bytes(backing_bytes), memory, lock_in_ram);
    if (r < 0)
        return r;
    lock_init(&space->lock, LOCK_RANK_SPACE);
    return 0;
}

int space_note_writes(struct space *space, struct memory *memory, bool lock_in_ram)
{
    /* As large as for the largest store: it may be used with another size next time. */
    return region_open(&space->writes, REGION_SHARED, "zslot-writes",
                       block_map_words(UINT32_MAX) * sizeof(uint64_t), memory,
                       lock_in_ram);
}

uint64_t space_writes_bytes(uint64_t backing_bytes)
{
    uint64_t bytes = block_map_words(block_count(backing_bytes)) * sizeof(uint64_t);

    return page_round_up(bytes);
}

static int start_region(struct region *region, uint64_t bytes)
{
    int r = region_start(region);

    return r < 0 ? r : region_commit(region, 0, bytes);
}

int space_start(struct space *space)
{
    int r = start_region(&space->region, space->region.bytes);
    if (r == 0 && space->writes.base)
        r = start_region(
            &space->writes,
            space_writes_bytes(((uint64_t)space->blocks + 1) * BLOCK_BYTES));
    if (r < 0)
        return r;
    uint64_t words = block_map_words(space->blocks),
             some = block_map_some_words(space->blocks);
    space->free.bits = (uint64_t *)(space->region.base + words_bytes(space->blocks));
    space->free.some = space->free.bits + words;
    space->empty.bits = space->free.some + some;
    space->empty.some = space->empty.bits + words;
    block_map_set_all(&space->free, space->blocks);
    return 0;
}

void space_close(struct space *space)
{
    if (!space->region.base)
        return;
    lock_destroy(&space->lock);
    region_close(&space->region);
    region_close(&space->writes);
}

/* -- What a write may come to, even when this process is no more. -- */

/* Before the write is submitted, and after it was answered.  By the writeback thread alone;
 * atomic for the order only. */
static void note_writes(struct space *space, uint32_t first, uint32_t count, bool set)
{
    _Atomic uint64_t *bits = (_Atomic uint64_t *)space->writes.base;

    if (!bits)
        return;
    for (uint32_t block = first; block < first + count; block++) {
        uint64_t bit = UINT64_C(1) << block % 64;

        if (set)
            atomic_fetch_or(&bits[block / 64], bit);
        else
            atomic_fetch_and(&bits[block / 64], ~bit);
    }
}

void space_note_content(struct space *space, uint32_t first, uint32_t end)
{
    LOCK_FOR_SCOPE(&space->lock);

    block_map_clear(&space->free, first, end - first);
    block_map_set(&space->empty, first, end - first);
}

/* The map that has a block of neither use. */
static struct block_map *map_of(struct space *space, uint32_t block)
{
    return block_map_has(&space->free, block) ? &space->free : &space->empty;
}

void space_adopt_begin(struct space *space)
{
    const uint64_t *writes = (const uint64_t *)space->writes.base;
    LOCK_FOR_SCOPE(&space->lock);

    for (uint64_t at = 1; writes && at <= space->blocks; at++) {
        const uint32_t block = (uint32_t)at;

        if (block % 64 == 0 && writes[block / 64] == 0)
            at +=
                63; /* and the loop adds one; past the last of all blocks that have a number */
        else if (writes[block / 64] >> block % 64 & 1) {
            block_map_clear(map_of(space, block), block, 1);
            atomic_store(word_of(space, block), HELD);
            space->held++;
        }
    }
}

static int adopt_part_locked(struct space *space, uint32_t block, uint32_t bytes)
{
    if (block < 1 || block > space->blocks)
        return -EUCLEAN;
    uint32_t now = atomic_load(word_of(space, block));
    if (now == HELD) {
        /* A slot refers to a block only when nothing is under way to it any more: the
         * note is from before the store was used by another way, without notes. */
        note_writes(space, block, 1, false);
        block_map_set(&space->empty, block, 1);
        space->held--;
        now = 0;
    }
    if ((now & LIVE_MASK) + bytes > BLOCK_BYTES)
        return -EUCLEAN;
    if (now == 0) {
        /* As if it had been full when it landed: then the cleaner looks at it. */
        now = USED | BLOCK_BYTES / FILLED_UNIT << FILLED_SHIFT;
        block_map_clear(map_of(space, block), block, 1);
    }
    atomic_store(word_of(space, block), now + bytes);
    space->live_bytes += bytes;
    space->landed_bytes += bytes;
    return 0;
}

void space_note_split(struct space *space, uint32_t bytes)
{
    uint32_t average = space->split_bytes;

    space->split_bytes =
        average == 0 ? bytes
                     : (average * (SPLIT_AVERAGE_OF - 1) + bytes) / SPLIT_AVERAGE_OF;
    space->split_live_bytes += bytes;
}

bool space_is_split(const struct space *space)
{
    return space->split_live_bytes > space->live_bytes / SPLIT_SHARE;
}

int space_adopt(struct space *space, address_t address, uint32_t length)
{
    struct object_place place = address_place(address, length);

    if (length != BLOCK_BYTES &&
        address_offset(address) + sizeof(struct object_header) >= BLOCK_BYTES)
        return -EUCLEAN;
    LOCK_FOR_SCOPE(&space->lock);
    int r = adopt_part_locked(space, place.block, place.bytes);
    if (r == 0 && place.rest_bytes > 0) {
        space_note_split(space, place.bytes + place.rest_bytes);
        r = adopt_part_locked(space, place.rest_block, place.rest_bytes);
    }
    return r;
}

void space_forget_writes(struct space *space)
{
    if (space->writes.base)
        memset(space->writes.base, 0,
               space_writes_bytes(((uint64_t)space->blocks + 1) * BLOCK_BYTES));
}

void space_let_go(struct space *space)
{
    LOCK_FOR_SCOPE(&space->lock);

    for (uint32_t block = 1; block <= space->blocks && space->held > 0; block++)
        if (atomic_load(word_of(space, block)) == HELD) {
            note_writes(space, block, 1, false);
            atomic_store(word_of(space, block), 0);
            block_map_set(&space->empty, block, 1);
            space->held--;
        }
}

/* -- Blocks come and go. -- */

static uint32_t take_noted(struct space *space, struct block_map *map, uint32_t most,
                           uint32_t *first)
{
    uint32_t count = block_map_take_run(space->blocks, map, most, first);

    note_writes(space, *first, count, true);
    return count;
}

uint32_t space_take_empty(struct space *space, uint32_t most, uint32_t *first)
{
    LOCK_FOR_SCOPE(&space->lock);

    return space->empty.count ? take_noted(space, &space->empty, most, first) : 0;
}

void space_set_reuses(struct space *space, bool reuses)
{
    space->reuses = reuses;
}

/* Moves the hand to EMPTY blocks that are worth using again, MOST of them or fewer.  Where there
 * were none it is not looked again before there are more. */
static bool find_reusable_locked(struct space *space, uint32_t most)
{
    uint32_t least = most < REUSE_MIN ? most : REUSE_MIN;
    uint32_t more = space->empty.count + REUSE_MIN, first;

    if (space->reuse_from > more)
        space->reuse_from = more;
    if (!space->reuses || space->empty.count < least ||
        space->empty.count < space->reuse_from)
        return false;
    for (unsigned look = 0; look < REUSE_LOOKS; look++) {
        uint32_t count = block_map_run(space->blocks, &space->empty, least, &first);

        if (count == least)
            return true;
        block_map_move_hand(space->blocks, &space->empty, first + count);
    }
    space->reuse_from = more;
    return false;
}

uint32_t space_take(struct space *space, uint32_t most, uint32_t *first, bool *was_free)
{
    LOCK_FOR_SCOPE(&space->lock);

    *was_free = space->free.count > 0 && !find_reusable_locked(space, most);
    struct block_map *map = *was_free ? &space->free : &space->empty;
    return map->count > 0 ? take_noted(space, map, most, first) : 0;
}

uint32_t space_available(const struct space *space)
{
    return space->free.count + space->empty.count;
}

bool space_is_short(const struct space *space)
{
    return space_available(space) < space->blocks / SHORT_SHARE;
}

void space_put_back(struct space *space, uint32_t first, uint32_t count, bool discarded)
{
    LOCK_FOR_SCOPE(&space->lock);

    for (uint32_t block = first; block < first + count; block++) {
        assert(atomic_load(word_of(space, block)) == 0);
        assert(!block_map_has(&space->free, block) &&
               !block_map_has(&space->empty, block));
    }
    note_writes(space, first, count, false);
    block_map_set(discarded ? &space->free : &space->empty, first, count);
}

uint32_t space_empty_blocks(const struct space *space)
{
    return space->empty.count;
}

/* The next who takes one finds it again, as far as nothing else was taken from there meanwhile. */
void space_untake(struct space *space, uint32_t block, bool was_free)
{
    struct block_map *map = was_free ? &space->free : &space->empty;
    LOCK_FOR_SCOPE(&space->lock);

    assert(atomic_load(word_of(space, block)) == 0);
    note_writes(space, block, 1, false);
    block_map_set(map, block, 1);
    map->hand = block;
}

/* Nothing refers to the block and nobody reads it: it can be used again. */
static void retire_if_empty(struct space *space, uint32_t block)
{
    word_t *word = word_of(space, block);
    LOCK_FOR_SCOPE(&space->lock);
    uint32_t now = atomic_load(word);

    /* Two may come here for one block, or one after it was pinned again. */
    do
        if (!(now & USED) || now & (LIVE_MASK | PIN_MASK))
            return;
    while (!atomic_compare_exchange_weak(word, &now, 0));
    block_map_set(&space->empty, block, 1);
}

void space_landed(struct space *space, uint32_t block, uint32_t live_bytes)
{
    assert(live_bytes > 0 && live_bytes <= BLOCK_BYTES);
    assert(atomic_load(word_of(space, block)) == 0);
    space->live_bytes += live_bytes;
    space->landed_bytes += live_bytes;
    note_writes(space, block, 1, false);
    atomic_store(word_of(space, block),
                 USED | live_bytes | live_bytes / FILLED_UNIT << FILLED_SHIFT);
}

static void release_part(struct space *space, uint32_t block, uint32_t bytes)
{
    uint32_t before = atomic_fetch_sub(word_of(space, block), bytes);

    assert(before & USED && (before & LIVE_MASK) >= bytes);
    space->live_bytes -= bytes;
    if ((before & LIVE_MASK) == bytes)
        retire_if_empty(space, block);
}

void space_release(struct space *space, address_t address, uint32_t length)
{
    struct object_place place = address_place(address, length);

    release_part(space, place.block, place.bytes);
    if (place.rest_bytes > 0) {
        release_part(space, place.rest_block, place.rest_bytes);
        space->split_live_bytes -= place.bytes + place.rest_bytes;
    }
}

uint64_t space_released_bytes(const struct space *space)
{
    return space->landed_bytes - space->live_bytes;
}

bool space_try_pin_block(struct space *space, uint32_t block)
{
    word_t *word = word_of(space, block);
    uint32_t now = atomic_load(word);

    while (now & USED)
        if (atomic_compare_exchange_weak(word, &now, now + PIN_ONE))
            return true;
    return false;
}

void space_unpin_block(struct space *space, uint32_t block)
{
    uint32_t now = atomic_fetch_sub(word_of(space, block), PIN_ONE) - PIN_ONE;

    if ((now & (LIVE_MASK | PIN_MASK)) == 0)
        retire_if_empty(space, block);
}

void space_pin(struct space *space, address_t address, uint32_t length)
{
    struct object_place place = address_place(address, length);

    atomic_fetch_add(word_of(space, place.block), PIN_ONE);
    if (place.rest_bytes > 0)
        atomic_fetch_add(word_of(space, place.rest_block), PIN_ONE);
}

void space_unpin(struct space *space, address_t address, uint32_t length)
{
    struct object_place place = address_place(address, length);

    space_unpin_block(space, place.block);
    if (place.rest_bytes > 0)
        space_unpin_block(space, place.rest_block);
}

uint32_t space_used_blocks(const struct space *space)
{
    return space->blocks - space->free.count;
}

/* -- For the cleaner. -- */

uint32_t space_cleanable_bytes(const struct space *space, uint32_t block,
                               uint32_t *dead_bytes)
{
    uint32_t now = atomic_load_explicit(word_of(space, block), memory_order_relaxed);
    uint32_t live = now & LIVE_MASK;
    uint32_t filled = (now & FILLED_MASK) >> FILLED_SHIFT << __builtin_ctz(FILLED_UNIT);

    /* Two blocks that are filled less than half make one. */
    if (filled <= BLOCK_BYTES / 2)
        filled = BLOCK_BYTES;
    *dead_bytes = filled > live ? filled - live : 0;
    return (now & (USED | TRIED)) == USED ? live : 0;
}

void space_set_tried(struct space *space, uint32_t block, bool tried)
{
    if (tried)
        atomic_fetch_or(word_of(space, block), TRIED);
    else
        atomic_fetch_and(word_of(space, block), ~TRIED);
}

bool space_is_tried(const struct space *space, uint32_t block)
{
    uint32_t now = atomic_load_explicit(word_of(space, block), memory_order_relaxed);

    return now & USED && now & TRIED;
}

int space_check(struct space *space)
{
    uint64_t live_bytes = 0;
    uint32_t free = 0, empty = 0, held = 0;
    LOCK_FOR_SCOPE(&space->lock);

    for (uint32_t block = 1; block <= space->blocks; block++) {
        uint32_t now = atomic_load(word_of(space, block));
        bool is_free = block_map_has(&space->free, block);
        bool is_empty = block_map_has(&space->empty, block);
        bool is_used = now & USED && now & LIVE_MASK && !(now & PIN_MASK);

        bool is_held = now == HELD;

        if (is_free + is_empty + is_used + is_held != 1 ||
            (!is_used && !is_held && now != 0))
            return -EUCLEAN;
        held += is_held;
        free += is_free;
        empty += is_empty;
        live_bytes += now & LIVE_MASK;
    }
    return free == space->free.count && empty == space->empty.count &&
                   held == space->held && live_bytes == space->live_bytes
               ? 0
               : -EUCLEAN;
}
