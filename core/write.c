/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "write.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "compact.h"
#include "content.h"
#include "fetch.h"
#include "gate.h"
#include "page.h"
#include "read.h"
#include "room.h"
#include "writeback.h"

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

    enum codec_id codec = context->choice.id;
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
    int r = compact_alloc(parts, context, content->length, (uint32_t)slot, &handle);
    if (r < 0)
        return r;
    memcpy(pool_object(&parts->pool, handle, content->length), object, content->length);
    content->ref = handle.value;
    return 0;
}

/* After an edge: the old content is ours to free (rule S1). */
static void settle(struct parts *parts, struct context *context, slot_t slot,
                   const struct slot_content *new, const struct slot_content *old)
{
    (void)gate(GATE_WRITE_SWITCHED, slot);
    content_release(parts, old);
    content_count(context, old, new);
    context_count_wanted(context, old->units);
    context_count(context, STAT_huge_pages_since, new->state == SLOT_HUGE);
}

/* slot_put(), with room made for the slot's leaf if need be. */
static int put(struct parts *parts, struct context *context, slot_t slot,
               const struct slot_content *new, struct slot_content *old)
{
    int r = slot_put(&parts->slots, slot, new, old);

    for (unsigned i = 0; r == -ENOSPC && i < COMPACT_TRIES; i++) {
        if (!compact_for_room(parts, context))
            break;
        r = slot_put(&parts->slots, slot, new, old);
    }
    return r;
}

/* The page of SLOT becomes what the caller has in context->page. */
static int put_page(struct parts *parts, struct context *context, slot_t slot,
                    bool pinned)
{
    struct slot_content new, old;

    int r = build(parts, context, slot, &new);
    if (r < 0)
        return r;

    (void)gate(GATE_WRITE_BUILT, slot);
    if (new.state == SLOT_EMPTY)
        slot_clear(&parts->slots, slot, &old);
    else if (pinned)
        slot_put_pinned(&parts->slots, slot, &new, &old);
    else {
        r = put(parts, context, slot, &new, &old);
        if (r < 0) {
            content_release(parts, &new);
            return r;
        }
    }
    settle(parts, context, slot, &new, &old);
    return 0;
}

static int put_whole(struct parts *parts, struct context *context, slot_t slot,
                     const void *data)
{
    uint64_t ref;

    slot_prefetch(&parts->slots, slot);
    /* The client's bytes are read once, here (rule S8).  They may change under us, and
     * a codec that reads them more than once would not overrun its room but can make an
     * object that does not decompress (seen with lz4 in 2 % of writes under a thread
     * that scribbles). */
    memcpy(context->page, data, PAGE_BYTES);
    /* What will be waited for after the codec comes near while it works. */
    bool pinned = slot_try_pin(&parts->slots, slot, &ref);
    if (pinned)
        pool_prefetch(&parts->pool, (handle_t){ref});

    int r = put_page(parts, context, slot, pinned);
    if (pinned)
        slot_unpin(&parts->slots, slot);
    if (r < 0)
        return r;
    compact_a_little(parts, context);
    context_count(context, STAT_pages_written, 1);
    return 0;
}

/* Merges into the page that context->page has under TICKET.  -ESTALE: somebody else
 * wrote in between. */
static int merge(struct parts *parts, struct context *context,
                 const struct slot_ticket *ticket, uint32_t offset, uint32_t bytes,
                 const void *data)
{
    struct slot_content new, old;

    if (data)
        memcpy(context->page + offset, data, bytes);
    else
        memset(context->page + offset, 0, bytes);
    (void)gate(GATE_WRITE_MERGED, ticket->slot);

    int r = build(parts, context, ticket->slot, &new);
    if (r < 0)
        return r;
    (void)gate(GATE_WRITE_BUILT, ticket->slot);
    r = new.state == SLOT_EMPTY ? slot_clear_if(&parts->slots, ticket, &old)
                                : slot_put_if(&parts->slots, ticket, &new, &old);
    if (r < 0) {
        content_release(parts, &new);
        return r;
    }
    settle(parts, context, ticket->slot, &new, &old);
    context_count(context, STAT_pages_written, 1);
    return 0;
}

/* -EAGAIN: the page is stored. */
static int merge_resident(struct parts *parts, struct context *context, slot_t slot,
                          uint32_t offset, uint32_t bytes, const void *data)
{
    struct slot_ticket ticket;
    int r = read_under_ticket(parts, context, slot, context->page, &ticket);
    if (r < 0)
        return r;

    r = merge(parts, context, &ticket, offset, bytes, data);
    slot_ticket_close(&parts->slots, &ticket);
    return r;
}

/* -ESTALE: the page is not stored any more, or was switched meanwhile. */
static int merge_stored(struct parts *parts, slot_t slot, uint32_t offset,
                        uint32_t bytes, const void *data)
{
    struct fetch *fetch;
    bool warm, joined;
    int r =
        fetch_object(writeback_fetches(parts->writeback), slot, &fetch, &warm, &joined);
    if (r < 0)
        return r;

    struct context *context = context_take(&parts->contexts);
    r = read_fetched(context, fetch, 0, PAGE_BYTES, context->page);
    context_count(context, STAT_bd_reads, r == 0);
    if (r == 0)
        r = merge(parts, context, &fetch->ticket, offset, bytes, data);
    context_give(&parts->contexts, context);
    fetch_release(fetch);
    return r;
}

/* One try.  -ESTALE: somebody else wrote in between. */
static int try_write(struct parts *parts, slot_t slot, uint32_t offset, uint32_t bytes,
                     const void *data, bool may_wait)
{
    bool whole = bytes == PAGE_BYTES && data;

    /* No access yet, since there will be another one. */
    if (!whole && !may_wait && read_is_stored(parts, slot))
        return -EAGAIN;

    struct context *context = context_take(&parts->contexts);
    int r = whole ? put_whole(parts, context, slot, data)
                  : merge_resident(parts, context, slot, offset, bytes, data);

    context_give(&parts->contexts, context);
    return r == -EAGAIN && may_wait ? merge_stored(parts, slot, offset, bytes, data)
                                    : r;
}

static void count_event(struct parts *parts, enum stat_id stat)
{
    struct context *context = context_take(&parts->contexts);

    context_count(context, stat, 1);
    context_give(&parts->contexts, context);
}

int write_part(struct parts *parts, slot_t slot, uint32_t offset, uint32_t bytes,
               const void *data, struct write_terms *terms)
{
    int r;

    assert(offset + bytes <= PAGE_BYTES);
    for (;;) {
        if (terms->is_wanted && !terms->is_wanted(terms->opaque))
            return -ECANCELED;
        r = try_write(parts, slot, offset, bytes, data, terms->may_wait);
        /* Each turn that is lost was another writer's success: together they get on. */
        if (r == -ESTALE)
            count_event(parts, STAT_merges_repeated);
        else if (r == -ENOSPC && parts->writeback) {
            if (!terms->may_wait) {
                r = -EAGAIN;
                break;
            }
            if (!terms->has_waited)
                count_event(parts, STAT_writers_waited);
            terms->has_waited = true;
            r = room_wait(parts->writeback, &terms->patience);
            if (r < 0)
                break;
        } else
            break;
    }
    if (r < 0 && r != -EAGAIN)
        count_event(parts, STAT_failed_writes);
    if (parts->writeback)
        room_poke(parts->writeback);
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
