/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "segment.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "content.h"
#include "gate.h"

#define SEGMENTS (SEGMENTS_IN_FLIGHT + 1)

/* A segment's share of the region: buffer, tickets, struct segment. */
static uint64_t share_bytes(void)
{
    uint64_t bytes = SEGMENT_BYTES +
                     SEGMENT_OBJECTS_MAX * sizeof(struct segment_object) +
                     sizeof(struct segment);

    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
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
    }
    return 0;
}

void segment_set_close(struct segment_set *set)
{
    assert(set->in_flight == 0);
    region_close(&set->region);
}

int segment_begin(struct segment_set *set, struct segment **segment)
{
    struct segment *fresh = set->free;
    if (!fresh)
        return -EAGAIN;

    int r = space_take(set->space, &fresh->number);
    if (r < 0)
        return r;
    set->free = fresh->next;
    fresh->bytes = sizeof(struct segment_header);
    fresh->objects = fresh->object_bytes = 0;
    fresh->cleans = false;
    *segment = fresh;
    return 0;
}

static bool has_room(const struct segment *segment, uint32_t length)
{
    return segment->objects < SEGMENT_OBJECTS_MAX &&
           segment->bytes + segment_object_bytes(length) <= SEGMENT_BYTES;
}

/* Copies an object, whose slot is locked, to the end of the segment. */
static void append(struct segment *segment, const struct slot_ticket *ticket,
                   const void *object)
{
    const struct slot_content *content = &ticket->content;
    struct object_header *header =
        (struct object_header *)(segment->buffer + segment->bytes);
    unsigned char *to = (unsigned char *)(header + 1);
    uint32_t bytes = segment_object_bytes(content->length);

    memcpy(to, object, content->length);
    memset(to + content->length, 0, bytes - sizeof *header - content->length);
    segment->table[segment->objects++] =
        (struct segment_object){.ticket = *ticket, .offset = segment->bytes};
    segment->bytes += bytes;
    segment->object_bytes += content->length;
}

int segment_add(struct segment *segment, slot_t slot)
{
    struct parts *parts = segment->set->parts;
    struct slot_content content;
    struct slot_ticket ticket;
    int r = -EAGAIN;

    if (!slot_lock(&parts->slots, slot, SLOT_INSPECT, &content))
        return -EAGAIN;
    if (slot_content_is_resident(&content)) {
        r = has_room(segment, content.length) ? 0 : -ENOSPC;
        if (r == 0)
            r = slot_begin_writing_locked(&parts->slots, slot, &ticket);
        if (r == 0)
            append(segment, &ticket,
                   pool_object(&parts->pool, (handle_t){content.ref}, content.length));
    }
    slot_unlock(&parts->slots, slot);
    return r;
}

int segment_add_stored(struct segment *segment, const struct object_header *object,
                       address_t old)
{
    struct parts *parts = segment->set->parts;
    struct slot_content content;
    struct slot_ticket ticket;
    int r = -EAGAIN;

    if (object->slot >= parts->slots.slots)
        return -EAGAIN;
    if (!slot_lock(&parts->slots, object->slot, SLOT_INSPECT, &content))
        return -EAGAIN;
    if (content.state == SLOT_STORED && content.ref == old.value) {
        /* Live, and so whole: what is not is lost, and stays where it is to say so. */
        if (object_header_holds(object, object->slot, content.codec, content.length))
            r = has_room(segment, content.length) ? 0 : -ENOSPC;
        if (r == 0)
            slot_ticket_take_locked(&parts->slots, object->slot, &ticket);
    }
    slot_unlock(&parts->slots, object->slot);
    if (r == 0) {
        append(segment, &ticket, object + 1);
        segment->cleans = true;
    }
    return r;
}

/* The checksums, made outside the slots' locks: the buffer is ours alone. */
static void seal(struct segment *segment)
{
    for (uint32_t i = 0; i < segment->objects; i++) {
        const struct slot_ticket *ticket = &segment->table[i].ticket;
        struct object_header *header =
            (struct object_header *)(segment->buffer + segment->table[i].offset);

        object_header_make((uint32_t)ticket->slot, ticket->content.codec,
                           ticket->content.length, header + 1, header);
    }
    segment_header_make(segment->set->identity, ++segment->set->sequence,
                        segment->bytes, segment->objects,
                        (struct segment_header *)segment->buffer);
}

static void put_buffer_back(struct segment *segment)
{
    segment->next = segment->set->free;
    segment->set->free = segment;
}

/* The object is on the backing store now: its slot refers to it there, unless it has
 * moved on. */
static void settle(struct segment *segment, struct context *context,
                   const struct segment_object *object)
{
    struct segment_set *set = segment->set;
    struct parts *parts = set->parts;
    const struct slot_content *content = &object->ticket.content;
    address_t address = {(uint64_t)segment->number * SEGMENT_BYTES + object->offset};
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
    space_put_back(segment->set->space, segment->number);
}

static void on_written(struct backing_io *io, int result)
{
    struct segment *segment =
        (struct segment *)((char *)io - offsetof(struct segment, io));
    struct segment_set *set = segment->set;

    set->in_flight--;
    if (result < 0) {
        set->failed++;
        let_go(segment);
    } else {
        set->written_bytes += io->bytes;
        uint32_t bytes = segment->bytes - (uint32_t)sizeof(struct segment_header);
        space_landed(set->space, segment->number, bytes,
                     segment->objects == SEGMENT_OBJECTS_MAX ? bytes : SEGMENT_BYTES);
        (void)gate(GATE_SEGMENT_LANDED, segment->table[0].ticket.slot);
        struct context *context = context_take(&set->parts->contexts);
        for (uint32_t i = 0; i < segment->objects; i++) {
            settle(segment, context, &segment->table[i]);
            slot_ticket_close(&set->parts->slots, &segment->table[i].ticket);
        }
        context_give(&set->parts->contexts, context);
    }
    set->done(set->opaque, segment, result);
    put_buffer_back(segment);
}

uint32_t segment_write_bytes(const struct segment *segment)
{
    return (segment->bytes + BACKING_ALIGN - 1) / BACKING_ALIGN * BACKING_ALIGN;
}

void segment_submit(struct segment *segment)
{
    struct segment_set *set = segment->set;

    if (segment->objects == 0) {
        segment_abandon(segment);
        return;
    }
    (void)gate(GATE_SEGMENT_COPIED, segment->table[0].ticket.slot);
    uint32_t whole = segment_write_bytes(segment);
    memset(segment->buffer + segment->bytes, 0, whole - segment->bytes);
    seal(segment);
    segment->io = (struct backing_io){
        .op = BACKING_WRITE,
        .offset = (uint64_t)segment->number * SEGMENT_BYTES,
        .bytes = whole,
        .buffer = segment->buffer,
        .done = on_written,
    };
    set->in_flight++;
    backing_submit(set->backing, &segment->io);
}

void segment_abandon(struct segment *segment)
{
    let_go(segment);
    put_buffer_back(segment);
}
