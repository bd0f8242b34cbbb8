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

static void count(struct context *context, const struct slot_content *content, int sign)
{
    if (content->state == SLOT_EMPTY)
        return;
    context_count(context, STAT_orig_data_size, sign * (int64_t)PAGE_BYTES);
    if (slot_content_is_resident(content))
        context_count(context, STAT_compr_data_size, sign * (int64_t)content->length);
    context_count(context, STAT_same_pages, content->state == SLOT_SAME ? sign : 0);
    context_count(context, STAT_huge_pages, content->state == SLOT_HUGE ? sign : 0);
    context_count(context, STAT_compressed_pages,
                  content->state == SLOT_COMPRESSED ? sign : 0);
    context_count(context, STAT_bd_count, content->state == SLOT_STORED ? sign : 0);
}

void content_count(struct context *context, const struct slot_content *old,
                   const struct slot_content *new)
{
    count(context, old, -1);
    count(context, new, 1);
}
