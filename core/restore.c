/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "restore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "space.h"
#include "writeback.h"

static int refuse_slot(const char *path, slot_t slot, int err, struct reason *reason)
{
    if (err == -EUCLEAN)
        return reason_say(reason, err,
                          "state=%s: damaged: the entry of slot %" PRIu64
                          " contradicts others or itself; name another directory, or "
                          "delete what is in it, which loses the pages",
                          path, slot);
    return reason_say(reason, err, "state=%s: cannot take over slot %" PRIu64 ": %s",
                      path, slot, strerror(-err));
}

/* -- The survey. -- */

/* What a window of the pool is used for, as far as it was seen. */
struct window {
    uint8_t class;
    uint8_t pages; /* 0: for nothing */
};

struct survey {
    struct restore *found;
    struct window *windows;
    uint64_t window_count;
    uint64_t leaf; /* the last one with a page, plus one */
};

static int see_object(struct survey *survey, const struct slot_content *content)
{
    handle_t handle = {content->ref};
    uint64_t number = content->ref >> 8;

    if (number >= survey->window_count ||
        (content->length > COMPRESSED_BYTES_MAX && content->length != PAGE_BYTES))
        return -EUCLEAN;
    struct window *window = &survey->windows[number];
    unsigned class = size_class_of(content->length);
    unsigned pages = pool_pages_up_to(handle, content->length);
    if (pages > SPAN_PAGES_MAX || (window->pages > 0 && window->class != class))
        return -EUCLEAN;
    window->class = (uint8_t) class;
    if (pages > window->pages) {
        survey->found->bytes += (uint64_t)(pages - window->pages) * PAGE_BYTES;
        window->pages = (uint8_t)pages;
    }
    if (number >= survey->found->spans)
        survey->found->spans = (uint32_t)number + 1;
    return 0;
}

static int see(void *opaque, slot_t slot, const struct slot_content *content)
{
    struct survey *survey = opaque;
    struct restore *found = survey->found;

    if (content->codec >= CODEC_COUNT)
        return -EUCLEAN;
    if (survey->leaf != slot / LEAF_SLOTS + 1) {
        survey->leaf = slot / LEAF_SLOTS + 1;
        found->bytes += PAGE_BYTES;
    }
    found->pages++;
    found->codecs |= 1u << content->codec;
    if (slot_content_is_resident(content))
        return see_object(survey, content);
    if (content->state == SLOT_STORED) {
        struct object_place place =
            address_place((address_t){content->ref}, content->length);
        uint32_t last = place.rest_block > 0 ? place.rest_block : place.block;

        found->stored++;
        if (last > found->last_block)
            found->last_block = last;
    }
    return 0;
}

int restore_survey(const struct parts *parts, const char *path, struct restore *found,
                   struct reason *reason)
{
    struct survey survey = {.found = found};
    const struct region *objects = &parts->pool.table.objects;
    uint64_t start, end = 0;
    slot_t slot = 0;

    *found = (struct restore){.pages = 0};
    while (region_next_content(objects, end, &start, &end))
        survey.window_count = (end + SPAN_BYTES - 1) / SPAN_BYTES;
    survey.windows = calloc(survey.window_count + 1, sizeof *survey.windows);
    if (!survey.windows)
        return reason_say(reason, -ENOMEM, "state=%s: no memory to look at it", path);
    int r = slot_table_survey(&parts->slots, see, &survey, &slot);
    free(survey.windows);
    if (r < 0)
        return refuse_slot(path, slot, r, reason);
    found->bytes += span_descriptor_pages(found->spans) * PAGE_BYTES;
    return 0;
}

/* -- Taking over. -- */

struct adoption {
    struct parts *parts;
    struct context *context;
};

static int adopt(void *opaque, slot_t slot, const struct slot_content *content)
{
    static const struct slot_content empty = {.state = SLOT_EMPTY};
    struct adoption *adoption = opaque;
    struct parts *parts = adoption->parts;
    int r = 0;

    if (slot_content_is_resident(content))
        r = pool_adopt(&parts->pool, (handle_t){content->ref}, content->length,
                       (uint32_t)slot);
    else if (content->state == SLOT_STORED)
        r = space_adopt(writeback_space(parts->writeback), (address_t){content->ref},
                        content->length);
    if (r == 0)
        content_count(adoption->context, &empty, content);
    return r;
}

int restore_adopt(struct parts *parts, const char *path, const struct restore *found,
                  struct reason *reason)
{
    struct adoption adoption = {.parts = parts};
    slot_t slot = 0;

    int r = pool_adopt_begin(&parts->pool, found->spans);
    if (r == 0) {
        adoption.context = context_take(&parts->contexts);
        r = slot_table_adopt(&parts->slots, adopt, &adoption, &slot);
        context_give(&parts->contexts, adoption.context);
    }
    if (r == 0)
        r = pool_adopt_end(&parts->pool);
    return r < 0 ? refuse_slot(path, slot, r, reason) : 0;
}
