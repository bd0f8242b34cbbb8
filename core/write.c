/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "write.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "compact.h"
#include "gate.h"
#include "page.h"
#include "read.h"

/* How often a writer at the memory limit makes room by compaction and tries again.
 * Others may take what it made room for. */
#define ROOM_TRIES 3

/* A place for an object, at the memory limit after compaction if need be. */
static int alloc(struct parts *parts, struct context *context, uint32_t length,
                 slot_t slot, handle_t *handle)
{
    int r = pool_alloc(&parts->pool, length, (uint32_t)slot, handle);

    for (unsigned i = 0; r == -ENOSPC && i < ROOM_TRIES; i++) {
        if (!compact_for_room(parts, context))
            break;
        r = pool_alloc(&parts->pool, length, (uint32_t)slot, handle);
    }
    return r;
}

/* Builds what the slot shall refer to for the page in context->page.  On success the
 * object, if there is one, is the caller's. */
static int build(struct parts *parts, struct context *context, slot_t slot,
                 struct slot_content *content)
{
    uint64_t word;

    if (page_is_same_filled(context->page, &word)) {
        *content =
            (struct slot_content){.state = word ? SLOT_SAME : SLOT_EMPTY, .ref = word};
        return 0;
    }

    enum codec_id codec = parts->contexts.choice.id;
    uint32_t length = codecs[codec]->compress(context->compressor, context->page,
                                              COMPRESSED_BYTES_MAX, context->object);
    const void *object = context->object;
    *content = (struct slot_content){
        .state = SLOT_COMPRESSED, .codec = (uint8_t)codec, .length = (uint16_t)length};
    if (length == 0) {
        object = context->page;
        *content = (struct slot_content){.state = SLOT_HUGE, .length = PAGE_BYTES};
    }

    handle_t handle;
    int r = alloc(parts, context, content->length, slot, &handle);
    if (r < 0)
        return r;
    memcpy(pool_object(&parts->pool, handle, content->length), object, content->length);
    content->ref = handle.value;
    return 0;
}

static void release(struct parts *parts, const struct slot_content *content)
{
    if (slot_content_is_resident(content))
        pool_free(&parts->pool, (handle_t){content->ref});
}

/* What one page adds to the gauges (SIGN 1), or takes from them (-1). */
static void count_content(struct context *context, const struct slot_content *content,
                          int sign)
{
    if (content->state == SLOT_EMPTY)
        return;
    context_count(context, STAT_orig_data_size, sign * (int64_t)PAGE_BYTES);
    context_count(context, STAT_compr_data_size, sign * (int64_t)content->length);
    if (content->state == SLOT_SAME)
        context_count(context, STAT_same_pages, sign);
    if (content->state == SLOT_HUGE)
        context_count(context, STAT_huge_pages, sign);
}

/* After an edge: the old content is ours to free (rule S1). */
static void settle(struct parts *parts, struct context *context, slot_t slot,
                   const struct slot_content *new, const struct slot_content *old)
{
    (void)gate(GATE_WRITE_SWITCHED, slot);
    release(parts, old);
    count_content(context, old, -1);
    count_content(context, new, 1);
    context_count(context, STAT_huge_pages_since, new->state == SLOT_HUGE);
}

/* slot_put(), with room made for the slot's leaf if need be. */
static int put(struct parts *parts, struct context *context, slot_t slot,
               const struct slot_content *new, struct slot_content *old)
{
    int r = slot_put(&parts->slots, slot, new, old);

    for (unsigned i = 0; r == -ENOSPC && i < ROOM_TRIES; i++) {
        if (!compact_for_room(parts, context))
            break;
        r = slot_put(&parts->slots, slot, new, old);
    }
    return r;
}

int write_page(struct parts *parts, struct context *context, slot_t slot,
               const void *data)
{
    struct slot_content new, old;

    /* The client's bytes are read once, here (rule S8).  They may change under us, and
     * a codec that reads them more than once would not overrun its room but can make an
     * object that does not decompress (seen with lz4 in 2 % of writes under a thread
     * that scribbles). */
    memcpy(context->page, data, PAGE_BYTES);
    int r = build(parts, context, slot, &new);
    if (r < 0)
        goto failed;

    (void)gate(GATE_WRITE_BUILT, slot);
    if (new.state == SLOT_EMPTY)
        slot_clear(&parts->slots, slot, &old);
    else {
        r = put(parts, context, slot, &new, &old);
        if (r < 0) {
            release(parts, &new);
            goto failed;
        }
    }
    settle(parts, context, slot, &new, &old);
    compact_a_little(parts, context);
    context_count(context, STAT_pages_written, 1);
    return 0;

failed:
    context_count(context, STAT_failed_writes, 1);
    return r;
}

/* One try of a partial write.  -ESTALE: somebody else wrote in between. */
static int merge(struct parts *parts, struct context *context, slot_t slot,
                 uint32_t offset, uint32_t bytes, const void *data)
{
    struct slot_ticket ticket;
    struct slot_content new, old;

    int r = read_under_ticket(parts, context, slot, context->page, &ticket);
    if (r < 0)
        return r;
    if (data)
        memcpy(context->page + offset, data, bytes);
    else
        memset(context->page + offset, 0, bytes);
    (void)gate(GATE_WRITE_MERGED, slot);

    r = build(parts, context, slot, &new);
    if (r < 0)
        goto close_ticket;
    (void)gate(GATE_WRITE_BUILT, slot);
    r = new.state == SLOT_EMPTY ? slot_clear_if(&parts->slots, &ticket, &old)
                                : slot_put_if(&parts->slots, &ticket, &new, &old);
    if (r < 0)
        release(parts, &new);
    else
        settle(parts, context, slot, &new, &old);

close_ticket:
    slot_ticket_close(&parts->slots, &ticket);
    return r;
}

int write_part(struct parts *parts, struct context *context, slot_t slot,
               uint32_t offset, uint32_t bytes, const void *data)
{
    int r;

    assert(offset + bytes <= PAGE_BYTES);
    /* Each turn that is lost was another writer's success: together they get on. */
    while ((r = merge(parts, context, slot, offset, bytes, data)) == -ESTALE)
        context_count(context, STAT_merges_repeated, 1);
    context_count(context, r < 0 ? STAT_failed_writes : STAT_pages_written, 1);
    return r;
}

void write_empty(struct parts *parts, struct context *context, slot_t slot)
{
    static const struct slot_content empty = {.state = SLOT_EMPTY};
    struct slot_content old;

    slot_clear(&parts->slots, slot, &old);
    settle(parts, context, slot, &empty, &old);
    context_count(context, STAT_pages_trimmed, old.state != SLOT_EMPTY);
}
