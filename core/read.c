/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "read.h"

#include <errno.h>
#include <string.h>

#include "ahead.h"
#include "clock.h"
#include "compact.h"
#include "gate.h"
#include "page.h"
#include "promote.h"
#include "writeback.h"

bool read_is_stored(struct parts *parts, slot_t slot)
{
    struct slot_age age;

    if (!parts->writeback)
        return false;
    slot_look(&parts->slots, slot, &age);
    return age.state == SLOT_STORED;
}

bool read_meets_stored(struct parts *parts, slot_t slot, slot_t end)
{
    while (slot < end)
        if (read_is_stored(parts, slot++))
            return true;
    return false;
}

/* Copies a locked slot's object to context->object.  All that a lock is held for: what
 * the copy costs, the next reader, writer or compaction of the page does not wait for
 * the codec.  Not straight to the client's buffer either, which may not be in RAM (rule
 * S10). */
static void copy_out(struct parts *parts, struct context *context,
                     const struct slot_content *content)
{
    if (slot_content_is_resident(content))
        memcpy(context->object,
               pool_object(&parts->pool, (handle_t){content->ref}, content->length),
               content->length);
}

/* BYTES at OFFSET of the page that CONTENT and context->object say. */
static int expand(struct context *context, const struct slot_content *content,
                  uint32_t offset, uint32_t bytes, void *out)
{
    unsigned id = content->codec;

    switch ((enum slot_state)content->state) {
    case SLOT_EMPTY:
        memset(out, 0, bytes);
        return 0;
    case SLOT_SAME:
        page_fill(content->ref, offset, bytes, out);
        return 0;
    case SLOT_HUGE:
        memcpy(out, context->object + offset, bytes);
        return 0;
    case SLOT_COMPRESSED: {
        void *page = bytes == PAGE_BYTES ? out : context->page;

        if (id >= CODEC_COUNT ||
            (codecs[id]->decompressor_init && !context->decompressors[id]))
            return -EIO;
        int r = codecs[id]->decompress(context->decompressors[id], context->object,
                                       content->length, page);
        if (r < 0)
            return r;
        if (page != out)
            memcpy(out, context->page + offset, bytes);
        return 0;
    }
    case SLOT_STORED:
        return -EAGAIN;
    case SLOT_STATE_COUNT:
        break;
    }
    return -EIO;
}

/* -EAGAIN: the page is stored. */
static int read_resident(struct parts *parts, slot_t slot, uint32_t offset,
                         uint32_t bytes, void *out)
{
    struct slot_content content;
    struct context *context = context_take(&parts->contexts);
    uint64_t since_ns = context_times_read(context) ? clock_now_ns() : 0;

    if (slot_lock(&parts->slots, slot, SLOT_ACCESS, &content)) {
        copy_out(parts, context, &content);
        slot_unlock(&parts->slots, slot);
    }
    (void)gate(GATE_READ_COPIED, slot);

    int r = expand(context, &content, offset, bytes, out);
    context_count_wanted(context, content.units);
    if (since_ns > 0 && r == 0)
        latency_count(&context->latency,
                      slot_content_is_resident(&content) ? LATENCY_RAM : LATENCY_SAME,
                      since_ns);
    if (r != -EAGAIN)
        context_count(context, r < 0 ? STAT_failed_reads : STAT_pages_read, 1);
    context_give(&parts->contexts, context);
    return r;
}

int read_fetched(struct context *context, const struct fetch *fetch, uint32_t offset,
                 uint32_t bytes, void *out)
{
    struct slot_content content = fetch->ticket.content;

    content.state = content.codec == CODEC_NONE ? SLOT_HUGE : SLOT_COMPRESSED;
    memcpy(context->object, fetch->object, content.length);
    return expand(context, &content, offset, bytes, out);
}

/* -ESTALE: the page is not stored any more. */
static int read_stored(struct parts *parts, struct ahead *ahead, slot_t slot,
                       uint32_t offset, uint32_t bytes, void *out)
{
    struct fetch *fetch;
    bool warm, joined = true;
    uint64_t since_ns = parts->contexts.untimed ? 0 : clock_now_ns();
    int r = ahead && ahead_take(ahead, slot, &fetch, &warm)
                ? fetch_wait(fetch)
                : fetch_object(writeback_fetches(parts->writeback), slot, &fetch, &warm,
                               &joined);
    if (r == -ESTALE)
        return r;

    struct context *context = context_take(&parts->contexts);
    if (r == 0) {
        r = read_fetched(context, fetch, offset, bytes, out);
        /* Wanted twice within a short time. */
        if (r == 0 && fetch_wants_again(fetch, offset, bytes, warm))
            promote_object(parts, context, fetch);
        fetch_release(fetch);
    }
    if (since_ns > 0 && r == 0)
        latency_count(&context->latency, joined ? LATENCY_IN_FLIGHT : LATENCY_BACKING,
                      since_ns);
    context_count(context, r < 0 ? STAT_failed_reads : STAT_pages_read, 1);
    context_count(context, STAT_bd_reads, r == 0);
    context_give(&parts->contexts, context);
    return r;
}

int read_part(struct parts *parts, struct ahead *ahead, slot_t slot, uint32_t offset,
              uint32_t bytes, void *out)
{
    int r;

    /* Between the look and the fetch the page may have been written, trimmed or
     * promoted. */
    while ((r = read_resident(parts, slot, offset, bytes, out)) == -EAGAIN)
        if ((r = read_stored(parts, ahead, slot, offset, bytes, out)) != -ESTALE)
            break;
    return r;
}

int read_try_part(struct parts *parts, slot_t slot, uint32_t offset, uint32_t bytes,
                  void *out)
{
    /* Whoever then fetches it accesses it too, and two accesses would make the page warm. */
    if (read_is_stored(parts, slot))
        return -EAGAIN;
    return read_resident(parts, slot, offset, bytes, out);
}

static int cache_page(struct parts *parts, struct ahead *ahead, slot_t slot)
{
    struct fetch *fetch;
    bool warm, joined;
    int r = ahead_take(ahead, slot, &fetch, &warm)
                ? fetch_wait(fetch)
                : fetch_object(writeback_fetches(parts->writeback), slot, &fetch, &warm,
                               &joined);

    if (r < 0)
        return r == -ESTALE ? 0 : r;
    struct context *context = context_take(&parts->contexts);
    context_count(context, STAT_bd_reads, 1);
    bool has_room = promote_object(parts, context, fetch);
    context_give(&parts->contexts, context);
    fetch_release(fetch);
    return has_room ? 0 : -ENOSPC;
}

int read_cache(struct parts *parts, slot_t slot, slot_t end)
{
    struct ahead ahead;
    int r = 0;

    ahead_open(&ahead, parts, end);
    for (; slot < end && r == 0; slot++) {
        struct slot_age age;

        slot_look(&parts->slots, slot, &age);
        if (age.state == SLOT_STORED)
            r = cache_page(parts, &ahead, slot);
    }
    ahead_close(&ahead);
    return r == -ENOSPC ? 0 : r; /* what has room is there */
}

int read_under_ticket(struct parts *parts, struct context *context, slot_t slot,
                      void *out, struct slot_ticket *ticket)
{
    struct slot_content content;
    int r = slot_lock_made(&parts->slots, slot, SLOT_ACCESS, &content);

    if (r == -ENOSPC && compact_for_room(parts, context))
        r = slot_lock_made(&parts->slots, slot, SLOT_ACCESS, &content);
    if (r < 0)
        return r;
    copy_out(parts, context, &content);
    slot_ticket_take_locked(&parts->slots, slot, ticket);
    slot_unlock(&parts->slots, slot);

    r = expand(context, &content, 0, PAGE_BYTES, out);
    if (r < 0)
        slot_ticket_close(&parts->slots, ticket);
    return r;
}

int read_quietly(struct parts *parts, struct context *context, slot_t slot, void *out,
                 struct slot_ticket *ticket)
{
    struct slot_content content;

    if (!slot_lock(&parts->slots, slot, SLOT_INSPECT, &content))
        return -EAGAIN;
    bool resident = slot_content_is_resident(&content);
    if (resident) {
        copy_out(parts, context, &content);
        slot_ticket_take_locked(&parts->slots, slot, ticket);
    }
    slot_unlock(&parts->slots, slot);
    if (!resident)
        return -EAGAIN;

    int r = expand(context, &content, 0, PAGE_BYTES, out);
    if (r < 0)
        slot_ticket_close(&parts->slots, ticket);
    return r;
}
