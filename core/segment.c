/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "segment.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "content.h"
#include "gate.h"

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
    return SEGMENTS * share_bytes();
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
    return 0;
}

void segment_set_close(struct segment_set *set)
{
    assert(set->in_flight == 0);
    region_close(&set->region);
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
    fresh->used = fresh->objects = fresh->object_bytes = fresh->evicted_bytes = 0;
    fresh->cleans = false;
    *segment = fresh;
    return 0;
}

/* The block where BYTES leave the least room; SEGMENT_BLOCKS: none has so much.  A raw
 * page needs a block of its own. */
static uint32_t find_room(const struct segment *segment, uint32_t bytes)
{
    uint32_t best = SEGMENT_BLOCKS, fullest = 0;

    if (segment->objects == SEGMENT_OBJECTS_MAX)
        return SEGMENT_BLOCKS;
    for (uint32_t block = 0; block < segment->used; block++)
        if (segment->filled[block] + bytes <= BLOCK_BYTES &&
            segment->filled[block] > fullest) {
            fullest = segment->filled[block];
            best = block;
        }
    if (best == SEGMENT_BLOCKS && segment->used < segment->blocks)
        return segment->used;
    return best;
}

static unsigned char *object_at(const struct segment *segment,
                                const struct segment_object *object)
{
    return segment->buffer + object->block * BLOCK_BYTES + object->offset;
}

/* Copies an object, whose slot is locked, to the block that find_room() found for it. */
static void append(struct segment *segment, uint32_t block,
                   const struct slot_ticket *ticket, const void *object)
{
    uint32_t length = ticket->content.length, bytes = block_object_bytes(length);
    struct segment_object *entry = &segment->table[segment->objects++];

    if (block == segment->used)
        segment->filled[segment->used++] = 0;
    *entry = (struct segment_object){
        .ticket = *ticket,
        .offset = segment->filled[block],
        .block = (uint8_t)block,
    };
    unsigned char *to = object_at(segment, entry);
    if (length < BLOCK_BYTES)
        to += sizeof(struct object_header);
    memcpy(to, object, length);
    memset(to + length, 0, object_at(segment, entry) + bytes - (to + length));
    segment->filled[block] += (uint16_t)bytes;
    segment->object_bytes += length;
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
        uint32_t block = find_room(segment, block_object_bytes(content.length));

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
    unsigned kept = 0;

    /* One that was used since it was chosen goes all the same: that was a moment ago, and
     * nothing was marked by which to know it. */
    for (unsigned i = 0; i < set->aside_count; i++)
        if (try_add(segment, set->aside[i]) == -ENOSPC)
            set->aside[kept++] = set->aside[i];
    set->aside_count = kept;
}

int segment_add_stored(struct segment *segment, const struct object_header *object,
                       address_t old)
{
    struct segment_set *set = segment->set;
    struct parts *parts = set->parts;
    struct slot_content content;
    struct slot_ticket ticket;
    uint32_t block = SEGMENT_BLOCKS;
    int r = -EAGAIN;

    if (object->slot >= parts->slots.slots)
        return -EAGAIN;
    if (!slot_lock(&parts->slots, object->slot, SLOT_INSPECT, &content))
        return -EAGAIN;
    if (content.state == SLOT_STORED && content.ref == old.value) {
        /* Live, and so whole: what is not is lost, and stays where it is to say so. */
        if (object_header_holds(set->seed, object, object->slot, content.codec,
                                content.length)) {
            block = find_room(segment, block_object_bytes(content.length));
            r = block < SEGMENT_BLOCKS ? 0 : -ENOSPC;
        }
        if (r == 0)
            slot_ticket_take_locked(&parts->slots, object->slot, &ticket);
    }
    slot_unlock(&parts->slots, object->slot);
    if (r == 0) {
        append(segment, block, &ticket, object + 1);
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

    if (ticket->content.length == BLOCK_BYTES)
        return address_of_raw_page(
            block, raw_page_checksum(segment->set->seed, (uint32_t)ticket->slot, at));
    return address_make(block, object->offset,
                        ((const struct object_header *)at)->checksum);
}

/* The padding and the checksums, made outside the slots' locks: the buffer is ours
 * alone. */
static void seal(struct segment *segment)
{
    for (uint32_t i = 0; i < segment->objects; i++) {
        const struct slot_ticket *ticket = &segment->table[i].ticket;
        struct object_header *header =
            (struct object_header *)object_at(segment, &segment->table[i]);

        if (ticket->content.length < BLOCK_BYTES)
            object_header_make(segment->set->seed, (uint32_t)ticket->slot,
                               ticket->content.codec, ticket->content.length,
                               header + 1, header);
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

static void land(struct segment *segment)
{
    struct segment_set *set = segment->set;

    set->written_bytes += segment_write_bytes(segment);
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

/* Takes blocks for what is used, and makes an I/O for each run of neighbours. */
static void take_blocks(struct segment *segment)
{
    struct segment_set *set = segment->set;
    uint32_t ios = 0;

    for (uint32_t at = 0, count; at < segment->used; at += count) {
        uint32_t first;

        count = space_take(set->space, segment->used - at, &first);
        assert(count > 0); /* they were promised */
        for (uint32_t i = 0; i < count; i++)
            segment->number[at + i] = first + i;
        segment->ios[ios++] = (struct backing_io){
            .op = BACKING_WRITE,
            .offset = (uint64_t)first * BLOCK_BYTES,
            .bytes = count * BLOCK_BYTES,
            .buffer = segment->buffer + at * BLOCK_BYTES,
            .done = on_written,
            .opaque = segment,
        };
    }
    segment->ios_left = ios;
}

void segment_submit(struct segment *segment)
{
    struct segment_set *set = segment->set;

    if (segment->objects == 0) {
        segment_abandon(segment);
        return;
    }
    (void)gate(GATE_SEGMENT_COPIED, segment->table[0].ticket.slot);
    seal(segment);
    set->promised -= segment->blocks;
    take_blocks(segment);
    segment->result = 0;
    segment->sequence = ++set->sequence;
    set->in_flight++;
    for (uint32_t i = 0, ios = segment->ios_left; i < ios; i++)
        backing_submit(set->backing, &segment->ios[i]);
}

void segment_abandon(struct segment *segment)
{
    segment->set->promised -= segment->blocks;
    let_go(segment);
    put_buffer_back(segment);
}
