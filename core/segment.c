/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "segment.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "gate.h"

/* Objects are split when so much of what is written was left over, on average: real pages leave
 * 2 % on average, and 6 % in one of a hundred segments. */
#define WASTE_UNIT 65536
#define WASTE_MAX (WASTE_UNIT / 16)

/* How much a segment counts then, of which more than a few blocks are used; and one of those few
 * that do not split, once they do. */
#define WASTE_WEIGHT 16
#define WASTE_WEIGHT_PROBE 4
#define WASTE_BLOCKS_MIN 16u
#define SPLIT_SEGMENTS_EACH_PROBE 32u

/* What is left over of a block is not worth splitting an object for. */
#define SPLIT_BYTES_MIN 256u

/* A segment's share of the region: buffer, tickets, struct segment. */
static uint64_t share_bytes(void)
{
    uint64_t bytes = SEGMENT_BYTES +
                     SEGMENT_OBJECTS_MAX * sizeof(struct segment_object) +
                     sizeof(struct segment);

    return page_round_up(bytes);
}

uint64_t segment_set_bytes(void)
{
    return SEGMENTS * share_bytes() + BLOCK_BYTES;
}

int segment_set_open(struct segment_set *set, struct parts *parts, struct space *space,
                     struct backing *backing, bool lock_in_ram)
{
    set->parts = parts;
    set->space = space;
    set->backing = backing;
    return region_open(&set->region, REGION_PRIVATE, "zslot-segment-buffers",
                       segment_set_bytes(), &parts->memory, lock_in_ram);
}

int segment_set_start(struct segment_set *set)
{
    int r = region_start(&set->region);
    if (r < 0)
        return r;
    r = region_commit(&set->region, 0, set->region.bytes);
    if (r < 0)
        return r;

    for (unsigned i = 0; i < SEGMENTS; i++) {
        char *share = set->region.base + i * share_bytes();
        struct segment *segment =
            (struct segment *)(share + SEGMENT_BYTES +
                               SEGMENT_OBJECTS_MAX * sizeof(struct segment_object));

        segment->set = set;
        segment->buffer = (unsigned char *)share;
        segment->table = (struct segment_object *)(share + SEGMENT_BYTES);
        segment->next = set->free;
        set->free = segment;
        set->free_count++;
    }
    set->joined = set->region.base + SEGMENTS * share_bytes();
    return 0;
}

void segment_set_close(struct segment_set *set)
{
    assert(set->in_flight == 0);
    region_close(&set->region);
}

static int compare(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

    return (a > b) - (a < b);
}

/* COUNT blocks, which there are, as near to each other as they come. */
static void take_blocks(struct segment *segment, uint32_t count)
{
    struct segment_set *set = segment->set;
    uint64_t keys[SEGMENT_BLOCKS]; /* 2 * number, and 1 if it was FREE */

    set->promised -= segment->blocks;
    for (uint32_t taken; segment->taken < count; segment->taken += taken) {
        uint32_t first;
        bool was_free;

        taken = space_take(set->space, count - segment->taken, &first, &was_free);
        assert(taken > 0); /* they were promised */
        for (uint32_t i = 0; i < taken; i++)
            keys[segment->taken + i] = ((uint64_t)first + i) << 1 | was_free;
    }
    qsort(keys, count, sizeof *keys, compare);
    for (uint32_t i = 0; i < count; i++) {
        segment->number[i] = (uint32_t)(keys[i] >> 1);
        segment->was_free[i] = keys[i] & 1;
    }
}

/* How many of its blocks from AT on, up to END, are neighbours. */
static uint32_t run_at(const struct segment *segment, uint32_t at, uint32_t end)
{
    uint32_t count = 1;

    while (at + count < end &&
           segment->number[at + count] == segment->number[at] + count)
        count++;
    return count;
}

/* Those from FROM on, which were not written; the last one first, so that the next segment goes
 * on where this one ends.  (Counted in TAKEN itself: gcc 12 drops the calls of a function that
 * only reads here, from the end of two arrays.) */
static void put_blocks_back(struct segment *segment, uint32_t from)
{
    while (segment->taken > from) {
        segment->taken--;
        space_untake(segment->set->space, segment->number[segment->taken],
                     segment->was_free[segment->taken]);
    }
}

/* Whether so much would be left over on average. */
static bool leaves_much(const struct segment_set *set)
{
    return set->waste > WASTE_MAX;
}

int segment_begin(struct segment_set *set, uint32_t reserve, struct segment **segment)
{
    struct segment *fresh = set->free;
    if (!fresh)
        return -EAGAIN;

    /* Who else takes blocks leaves those that are promised: they are there when it is
     * submitted. */
    uint32_t kept = reserve + set->promised, available = space_available(set->space);
    if (available <= kept)
        return -ENOSPC;
    set->free = fresh->next;
    set->free_count--;
    fresh->blocks =
        available - kept < SEGMENT_BLOCKS ? available - kept : SEGMENT_BLOCKS;
    set->promised += fresh->blocks;
    fresh->taken = fresh->used = 0;
    memset(fresh->filled, 0, sizeof fresh->filled);
    fresh->objects = fresh->object_bytes = fresh->evicted_bytes = 0;
    fresh->cleans = false;
    fresh->splits = leaves_much(set) && set->until_probe > 0;
    *segment = fresh;
    return 0;
}

int segment_begin_cleaning(struct segment_set *set, struct segment **segment)
{
    int r = segment_begin(set, 0, segment);

    if (r == 0)
        (*segment)->splits = leaves_much(set) || space_is_split(set->space);
    return r;
}

/* Whether an object would begin in the last block that is used, and go on in a fresh one. */
static bool can_split(const struct segment *segment, uint32_t length)
{
    uint32_t fresh = segment->used;

    return segment->splits && length < BLOCK_BYTES && fresh > 0 &&
           segment->number[fresh] - segment->number[fresh - 1] <= SPLIT_AWAY_MAX &&
           BLOCK_BYTES - segment->filled[fresh - 1] >= SPLIT_BYTES_MIN;
}

/* The block that is fullest of those used in which so many BYTES find room; SEGMENT_BLOCKS: there is
 * none.  All are looked at, for each object, eight at a time: what is not used is filled with
 * nothing. */
static uint32_t find_fullest(const struct segment *segment, uint32_t bytes)
{
    const int16_t most = (int16_t)((int32_t)BLOCK_BYTES - (int32_t)bytes);
    int16_t fullest = 0;

    for (uint32_t block = 0; block < SEGMENT_BLOCKS; block++) {
        int16_t filled = (int16_t)segment->filled[block];

        filled = filled <= most ? filled : 0;
        fullest = filled > fullest ? filled : fullest;
    }
    for (uint32_t block = 0; fullest > 0; block++)
        if (segment->filled[block] == fullest)
            return block;
    return SEGMENT_BLOCKS;
}

/* The block where an object of LENGTH leaves the least room, or would begin;
 * SEGMENT_BLOCKS: there is no room for it.  A raw page needs a block of its own. */
static uint32_t find_room(const struct segment *segment, uint32_t length)
{
    if (segment->objects == SEGMENT_OBJECTS_MAX)
        return SEGMENT_BLOCKS;
    uint32_t best = find_fullest(segment, block_object_bytes(length));
    if (best == SEGMENT_BLOCKS && segment->used < segment->blocks)
        return can_split(segment, length) ? segment->used - 1 : segment->used;
    return best;
}

static unsigned char *object_at(const struct segment *segment,
                                const struct segment_object *object)
{
    return segment->buffer + object->block * BLOCK_BYTES + object->offset;
}

/* Appends BYTES to a block, the next fresh one or one that is used, and zeroes up to a
 * multiple of 8. */
static void append_bytes(struct segment *segment, uint32_t block, uint32_t header_bytes,
                         const void *from, uint32_t bytes)
{
    if (block == segment->used)
        segment->used++;
    unsigned char *to =
        segment->buffer + block * BLOCK_BYTES + segment->filled[block] + header_bytes;
    uint32_t padded = (bytes + 7) / 8 * 8;

    memcpy(to, from, bytes);
    memset(to + bytes, 0, padded - bytes);
    segment->filled[block] += (uint16_t)(header_bytes + padded);
}

/* Copies an object, whose slot is locked, to the block that find_room() found for it. */
static void append(struct segment *segment, uint32_t block,
                   const struct slot_ticket *ticket, const void *object)
{
    const uint32_t header_bytes = sizeof(struct object_header);
    uint32_t length = ticket->content.length;
    uint16_t offset = block < segment->used ? segment->filled[block] : 0;

    segment->table[segment->objects++] = (struct segment_object){
        .ticket = *ticket, .offset = offset, .block = (uint8_t)block};
    segment->object_bytes += length;
    if (length == BLOCK_BYTES) {
        append_bytes(segment, block, 0, object, length);
        return;
    }
    struct object_parts parts = object_parts_at(offset, length);

    append_bytes(segment, block, header_bytes, object, parts.head_length);
    if (parts.rest_bytes == 0)
        return;
    append_bytes(segment, block + 1, header_bytes,
                 (const char *)object + parts.head_length, length - parts.head_length);
}

/* After its first object, outside of its slot's lock. */
static void take_blocks_early(struct segment *segment)
{
    if (segment->splits && segment->taken == 0)
        take_blocks(segment, segment->blocks);
}

/* -ENOSPC: no room in this segment. */
static int try_add(struct segment *segment, slot_t slot)
{
    struct parts *parts = segment->set->parts;
    struct slot_content content;
    struct slot_ticket ticket;
    int r = -EAGAIN;

    if (!slot_lock(&parts->slots, slot, SLOT_INSPECT, &content))
        return -EAGAIN;
    if (slot_content_is_resident(&content)) {
        uint32_t block = find_room(segment, content.length);

        r = block < SEGMENT_BLOCKS ? 0 : -ENOSPC;
        if (r == 0)
            r = slot_begin_writing_locked(&parts->slots, slot, &ticket);
        if (r == 0) {
            append(segment, block, &ticket,
                   pool_object(&parts->pool, (handle_t){content.ref}, content.length));
            segment->evicted_bytes += content.length;
        }
    }
    slot_unlock(&parts->slots, slot);
    if (r == 0)
        take_blocks_early(segment);
    return r;
}

int segment_add(struct segment *segment, slot_t slot)
{
    struct segment_set *set = segment->set;
    int r = try_add(segment, slot);

    if (r == -ENOSPC && set->aside_count < SEGMENT_ASIDE_MAX) {
        set->aside[set->aside_count++] = slot;
        return 0;
    }
    return r;
}

void segment_add_aside(struct segment *segment)
{
    struct segment_set *set = segment->set;
    unsigned kept = 0, marked = 0;

    /* One that was used since it was chosen goes all the same: that was a moment ago, and
     * nothing was marked by which to know it. */
    for (unsigned i = 0; i < set->aside_count; i++) {
        if (try_add(segment, set->aside[i]) != -ENOSPC)
            continue;
        marked += i < set->aside_marked;
        set->aside[kept++] = set->aside[i];
    }
    set->aside_count = kept;
    set->aside_marked = marked;
}

void segment_mark_aside(struct segment_set *set)
{
    set->aside_marked = set->aside_count;
}

int segment_add_stored(struct segment *segment, slot_t slot, address_t old, char *block,
                       char *rest)
{
    struct segment_set *set = segment->set;
    struct parts *parts = set->parts;
    const struct object_view view = {block, rest, address_offset(old)};
    uint32_t to = SEGMENT_BLOCKS;
    struct slot_content content;
    struct slot_ticket ticket;
    int r = -EAGAIN;

    if (slot >= parts->slots.slots)
        return -EAGAIN;
    if (!slot_lock(&parts->slots, slot, SLOT_INSPECT, &content))
        return -EAGAIN;
    if (content.state == SLOT_STORED && content.ref == old.value) {
        const struct object_header *header =
            (const struct object_header *)(block + address_offset(old));

        /* Live, and so whole and the one that the slot refers to: what is not is lost, and stays where it is to
         * say so. */
        if (address_has_checksum(old, content.length, header->checksum) &&
            object_holds(set->seal, (uint32_t)slot, content.codec, content.length,
                         view)) {
            to = find_room(segment, content.length);
            r = to < SEGMENT_BLOCKS ? 0 : -ENOSPC;
        }
        if (r == 0)
            slot_ticket_take_locked(&parts->slots, slot, &ticket);
    }
    slot_unlock(&parts->slots, slot);
    if (r == 0) {
        append(segment, to, &ticket, object_join(content.length, view, set->joined));
        take_blocks_early(segment);
        segment->cleans = true;
    }
    return r;
}

/* Where the object is, once it is sealed and its block has a number. */
static address_t address_of(const struct segment *segment,
                            const struct segment_object *object)
{
    const struct slot_ticket *ticket = &object->ticket;
    const void *at = object_at(segment, object);
    uint32_t block = segment->number[object->block];
    uint32_t length = ticket->content.length;

    if (length == BLOCK_BYTES)
        return address_of_raw_page(
            block, raw_page_checksum(segment->set->seal, (uint32_t)ticket->slot, at));
    uint64_t checksum = ((const struct object_header *)at)->checksum;
    return object_parts_at(object->offset, length).rest_bytes > 0
               ? address_make_split(block, segment->number[object->block + 1],
                                    object->offset, checksum)
               : address_make(block, object->offset, checksum);
}

static struct object_view view_of(const struct segment *segment,
                                  const struct segment_object *object)
{
    char *block = (char *)segment->buffer + object->block * BLOCK_BYTES;

    return (struct object_view){block, block + BLOCK_BYTES, object->offset};
}

/* The padding and the checksums, made outside the slots' locks: the buffer is ours
 * alone. */
static void seal(struct segment *segment)
{
    for (uint32_t i = 0; i < segment->objects; i++) {
        const struct slot_ticket *ticket = &segment->table[i].ticket;

        if (ticket->content.length < BLOCK_BYTES)
            object_headers_make(segment->set->seal, (uint32_t)ticket->slot,
                                ticket->content.codec, ticket->content.length,
                                view_of(segment, &segment->table[i]));
    }
    for (uint32_t block = 0; block < segment->used; block++)
        memset(segment->buffer + block * BLOCK_BYTES + segment->filled[block], 0,
               BLOCK_BYTES - segment->filled[block]);
}

static void put_buffer_back(struct segment *segment)
{
    segment->next = segment->set->free;
    segment->set->free = segment;
    segment->set->free_count++;
}

/* The object is on the backing store now: its slot refers to it there, unless it has
 * moved on. */
static void settle(struct segment *segment, struct context *context,
                   const struct segment_object *object)
{
    struct segment_set *set = segment->set;
    struct parts *parts = set->parts;
    const struct slot_content *content = &object->ticket.content;
    address_t address = address_of(segment, object);
    struct slot_content old, new = *content;
    int r;

    new.state = SLOT_STORED;
    new.ref = address.value;
    if (content->state == SLOT_STORED)
        r = slot_relocate(&parts->slots, &object->ticket, address.value, &old);
    else
        r = slot_commit(&parts->slots, &object->ticket, address.value, &old);
    (void)gate(GATE_SEGMENT_SWITCHED, object->ticket.slot);
    if (r < 0) {
        content_release(parts, &new);
        set->stale_objects++;
        return;
    }
    content_release(parts, &old);
    content_count(context, &old, &new);
    if (old.state != SLOT_STORED) {
        set->evicted_objects++;
        set->evicted_bytes += old.length;
    }
}

/* The objects stay where they are. */
static void let_go(struct segment *segment)
{
    struct parts *parts = segment->set->parts;

    for (uint32_t i = 0; i < segment->objects; i++) {
        const struct slot_ticket *ticket = &segment->table[i].ticket;

        if (ticket->content.state != SLOT_STORED)
            slot_abort_writing(&parts->slots, ticket);
        slot_ticket_close(&parts->slots, ticket);
    }
    segment->objects = 0;
}

static void note_split(const struct segment *segment)
{
    for (uint32_t i = 0; i < segment->objects; i++) {
        struct object_parts parts = object_parts_at(
            segment->table[i].offset, segment->table[i].ticket.content.length);

        if (parts.rest_bytes > 0)
            space_note_split(segment->set->space, parts.bytes + parts.rest_bytes);
    }
}

static void land(struct segment *segment)
{
    struct segment_set *set = segment->set;

    set->written_bytes += segment_write_bytes(segment);
    note_split(segment);
    for (uint32_t block = 0; block < segment->used; block++)
        space_landed(set->space, segment->number[block], segment->filled[block]);
    (void)gate(GATE_SEGMENT_LANDED, segment->table[0].ticket.slot);
    struct context *context = context_take(&set->parts->contexts);
    for (uint32_t i = 0; i < segment->objects; i++) {
        settle(segment, context, &segment->table[i]);
        slot_ticket_close(&set->parts->slots, &segment->table[i].ticket);
    }
    context_give(&set->parts->contexts, context);
}

static void on_written(struct backing_io *io, int result)
{
    struct segment *segment = io->opaque;
    struct segment_set *set = segment->set;

    if (result < 0)
        segment->result = result;
    if (--segment->ios_left > 0)
        return;

    set->in_flight--;
    if (segment->result < 0) {
        set->failed++;
        let_go(segment);
        for (uint32_t block = 0; block < segment->used; block++)
            space_put_back(set->space, segment->number[block], 1, false);
    } else
        land(segment);
    set->done(set->opaque, segment, segment->result);
    put_buffer_back(segment);
}

uint32_t segment_write_bytes(const struct segment *segment)
{
    return segment->used * BLOCK_BYTES;
}

/* An I/O for each run of neighbours. */
static void make_ios(struct segment *segment)
{
    uint32_t ios = 0;

    for (uint32_t at = 0, count; at < segment->used; at += count) {
        count = run_at(segment, at, segment->used);
        segment->ios[ios++] = (struct backing_io){
            .op = BACKING_WRITE,
            .offset = (uint64_t)segment->number[at] * BLOCK_BYTES,
            .bytes = count * BLOCK_BYTES,
            .buffer = segment->buffer + at * BLOCK_BYTES,
            .done = on_written,
            .opaque = segment,
        };
    }
    segment->ios_left = ios;
}

/* Whether the segments that follow had better split objects, or need not any more.  The
 * cleaner's say nothing: they have little to choose from. */
static void learn(const struct segment *segment)
{
    struct segment_set *set = segment->set;
    int waste = WASTE_UNIT;

    if (segment->cleans || segment->used < WASTE_BLOCKS_MIN)
        return;
    if (segment->splits) {
        set->until_probe -= set->until_probe > 0;
        return;
    }
    for (uint32_t block = 0; block < segment->used; block++)
        waste -=
            (int)(segment->filled[block] * (WASTE_UNIT / BLOCK_BYTES) / segment->used);
    set->waste +=
        (waste - set->waste) / (leaves_much(set) ? WASTE_WEIGHT_PROBE : WASTE_WEIGHT);
    set->until_probe = SPLIT_SEGMENTS_EACH_PROBE;
}

void segment_submit(struct segment *segment)
{
    struct segment_set *set = segment->set;

    if (segment->objects == 0) {
        segment_abandon(segment);
        return;
    }
    (void)gate(GATE_SEGMENT_COPIED, segment->table[0].ticket.slot);
    learn(segment);
    if (segment->splits)
        put_blocks_back(segment, segment->used);
    else
        take_blocks(segment, segment->used);
    seal(segment);
    make_ios(segment);
    segment->result = 0;
    segment->sequence = ++set->sequence;
    set->in_flight++;
    for (uint32_t i = 0, ios = segment->ios_left; i < ios; i++)
        backing_submit(set->backing, &segment->ios[i]);
}

void segment_abandon(struct segment *segment)
{
    if (segment->taken > 0)
        put_blocks_back(segment, 0);
    else
        segment->set->promised -= segment->blocks;
    let_go(segment);
    put_buffer_back(segment);
}
