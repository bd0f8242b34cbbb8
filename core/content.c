/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "content.h"

#include "space.h"
#include "writeback.h"

void content_release(struct parts *parts, const struct slot_content *content)
{
    if (slot_content_is_resident(content))
        pool_free(&parts->pool, (handle_t){content->ref});
    else if (content->state == SLOT_STORED)
        space_release(writeback_space(parts->writeback), (address_t){content->ref},
                      content->length);
}

static uint32_t resident_bytes(const struct slot_content *content)
{
    return slot_content_is_resident(content) ? content->length : 0;
}

static void count(struct context *context, enum stat_id stat, int64_t more)
{
    if (more != 0)
        context_count(context, stat, more);
}

static void count_state(struct context *context, enum stat_id stat,
                        enum slot_state state, const struct slot_content *old,
                        const struct slot_content *new)
{
    count(context, stat, (new->state == state) - (old->state == state));
}

void content_count(struct context *context, const struct slot_content *old,
                   const struct slot_content *new)
{
    /* Each of them once: who adds them up meanwhile would not see a page that is replaced. */
    count(context, STAT_orig_data_size,
          ((new->state != SLOT_EMPTY) - (old->state != SLOT_EMPTY)) *
              (int64_t)PAGE_BYTES);
    count(context, STAT_compr_data_size,
          (int64_t)resident_bytes(new) - resident_bytes(old));
    count_state(context, STAT_same_pages, SLOT_SAME, old, new);
    count_state(context, STAT_huge_pages, SLOT_HUGE, old, new);
    count_state(context, STAT_compressed_pages, SLOT_COMPRESSED, old, new);
    count_state(context, STAT_bd_count, SLOT_STORED, old, new);
}
