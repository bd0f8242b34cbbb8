/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "read.h"

#include <errno.h>
#include <string.h>

#include "compact.h"
#include "gate.h"
#include "page.h"

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
static int expand(struct parts *parts, struct context *context,
                  const struct slot_content *content, uint32_t offset, uint32_t bytes,
                  void *out)
{
    enum codec_id codec = parts->contexts.choice.id;

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

        if (content->codec != codec)
            return -EIO;
        int r = codecs[codec]->decompress(context->decompressor, context->object,
                                          content->length, page);
        if (r < 0)
            return r;
        if (page != out)
            memcpy(out, context->page + offset, bytes);
        return 0;
    }
    case SLOT_STORED: /* there is no backing store in this build to fetch from */
    case SLOT_STATE_COUNT:
        break;
    }
    return -EIO;
}

int read_page(struct parts *parts, struct context *context, slot_t slot,
              uint32_t offset, uint32_t bytes, void *out)
{
    struct slot_content content;

    if (slot_lock(&parts->slots, slot, SLOT_ACCESS, &content)) {
        copy_out(parts, context, &content);
        slot_unlock(&parts->slots, slot);
    }
    (void)gate(GATE_READ_COPIED, slot);

    int r = expand(parts, context, &content, offset, bytes, out);
    context_count(context, r < 0 ? STAT_failed_reads : STAT_pages_read, 1);
    return r;
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

    r = expand(parts, context, &content, 0, PAGE_BYTES, out);
    if (r < 0)
        slot_ticket_close(&parts->slots, ticket);
    return r;
}
