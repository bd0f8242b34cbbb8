/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "recompress.h"

#include <errno.h>
#include <string.h>

#include "compact.h"
#include "content.h"
#include "gate.h"
#include "page.h"
#include "read.h"
#include "work.h"

/* What works on one page. */
struct bench {
    struct parts *parts;
    struct region region;
    const struct codec *codec;
    enum codec_id id;
    void *compressor;
    unsigned char *page, *object;
    int no_room; /* -ENOSPC, -ENOMEM: why some pages stay as they are; else 0 */
};

static int bench_open(struct bench *bench, struct parts *parts,
                      struct codec_choice choice)
{
    const struct codec *codec = codecs[choice.id];
    size_t bytes = codec->compressor_bytes ? codec->compressor_bytes(choice.level) : 0;

    *bench = (struct bench){.parts = parts, .codec = codec, .id = choice.id};
    int r = region_open(&bench->region, REGION_PRIVATE, "zslot-recompress",
                        2 * PAGE_BYTES + page_round_up(bytes), &parts->memory,
                        parts->contexts.region.lock_in_ram);
    if (r < 0)
        return r;
    if ((r = region_start(&bench->region)) < 0 ||
        (r = region_commit(&bench->region, 0, bench->region.bytes)) < 0) {
        region_close(&bench->region);
        return r;
    }
    bench->page = (unsigned char *)bench->region.base;
    bench->object = bench->page + PAGE_BYTES;
    if (codec->compressor_init)
        bench->compressor =
            codec->compressor_init(bench->object + PAGE_BYTES, bytes, choice.level);
    return 0;
}

static void bench_close(struct bench *bench)
{
    region_release(&bench->region, 0, bench->region.bytes);
    region_close(&bench->region);
}

/* -- What was tried. -- */

static uint64_t head_bytes(const struct parts *parts)
{
    return page_round_up(page_round_up(parts->slots.slots) / PAGE_BYTES);
}

static int tried_open(struct parts *parts)
{
    struct recompress *recompress = &parts->recompress;
    uint64_t head = head_bytes(parts);

    if (recompress->tried.base)
        return 0;
    int r = region_open(&recompress->tried, REGION_PRIVATE, "zslot-tried",
                        head + page_round_up(parts->slots.slots), &parts->memory,
                        parts->contexts.region.lock_in_ram);
    if (r < 0)
        return r;
    if ((r = region_start(&recompress->tried)) < 0 ||
        (r = region_commit(&recompress->tried, 0, head)) < 0) {
        region_close(&recompress->tried);
        return r;
    }
    recompress->charged_bytes = head;
    return 0;
}

/* Another codec may do what this one could not. */
static void tried_forget(struct parts *parts)
{
    struct recompress *recompress = &parts->recompress;
    uint64_t head = head_bytes(parts);

    for (uint64_t i = 0; i < page_round_up(parts->slots.slots) / PAGE_BYTES; i++)
        if (recompress->tried.base[i]) {
            region_release(&recompress->tried, head + i * PAGE_BYTES, PAGE_BYTES);
            recompress->charged_bytes -= PAGE_BYTES;
            recompress->tried.base[i] = 0;
        }
}

static unsigned char sign_of(uint32_t version)
{
    return (unsigned char)(version % 255 + 1);
}

static bool was_tried(const struct parts *parts, slot_t slot, uint32_t version)
{
    const char *base = parts->recompress.tried.base;

    return (unsigned char)base[head_bytes(parts) + slot] == sign_of(version);
}

/* Without RAM for it the page is tried again some day. */
static void note_tried(struct parts *parts, slot_t slot, uint32_t version)
{
    struct recompress *recompress = &parts->recompress;
    char *is_there = &recompress->tried.base[slot / PAGE_BYTES];
    uint64_t head = head_bytes(parts), page = head + slot / PAGE_BYTES * PAGE_BYTES;

    if (!*is_there) {
        if (region_commit(&recompress->tried, page, PAGE_BYTES) < 0)
            return;
        recompress->charged_bytes += PAGE_BYTES;
        *is_there = 1;
    }
    recompress->tried.base[head + slot] = (char)sign_of(version);
}

/* -- One page. -- */

/* A place for a new object, beside the old one. */
static int alloc(struct bench *bench, uint32_t length, slot_t slot, handle_t *handle)
{
    struct parts *parts = bench->parts;
    struct context *context = context_take(&parts->contexts);
    int r = compact_alloc(parts, context, length, (uint32_t)slot, handle);

    context_give(&parts->contexts, context);
    if (r < 0)
        bench->no_room = r;
    return r;
}

/* The new object takes the place of the old one, if the page is the same still.  Whether it
 * did. */
static bool replace(struct bench *bench, const struct slot_ticket *ticket,
                    uint32_t length)
{
    struct parts *parts = bench->parts;
    struct slot_content new = {.state = SLOT_COMPRESSED,
                               .codec = (uint8_t)bench->id,
                               .length = (uint16_t)length},
                        old;
    handle_t handle;

    if (alloc(bench, length, ticket->slot, &handle) < 0)
        return false;
    memcpy(pool_object(&parts->pool, handle, length), bench->object, length);
    new.ref = handle.value;
    (void)gate(GATE_WRITE_BUILT, ticket->slot);
    if (slot_replace(&parts->slots, ticket, &new, &old) < 0) {
        pool_free(&parts->pool, handle);
        return false;
    }
    content_release(parts, &old);
    struct context *context = context_take(&parts->contexts);
    content_count(context, &old, &new);
    context_count(context, STAT_pages_recompressed, 1);
    compact_a_little(parts, context);
    context_give(&parts->contexts, context);
    return true;
}

static void try_page(struct bench *bench, slot_t slot, struct work *work,
                     uint64_t *seen_bytes)
{
    struct parts *parts = bench->parts;
    struct slot_ticket ticket;
    struct context *context = context_take(&parts->contexts);
    int r = read_quietly(parts, context, slot, bench->page, &ticket);

    context_give(&parts->contexts, context);
    if (r < 0)
        return;
    if (!was_tried(parts, slot, ticket.version)) {
        uint32_t before = ticket.content.length;
        uint32_t length = bench->codec->compress(bench->compressor, bench->page,
                                                 COMPRESSED_BYTES_MAX, bench->object);

        *seen_bytes += before;
        if (length == 0 || size_class_of(length) >= size_class_of(before))
            note_tried(parts, slot, ticket.version);
        else if (replace(bench, &ticket, length)) {
            note_tried(parts, slot, ticket.version + 1);
            work->pages++;
            work->bytes += before - length;
        }
    }
    slot_ticket_close(&parts->slots, &ticket);
}

int recompress_run(struct parts *parts, struct codec_choice choice,
                   const struct filter *filter, struct work *work)
{
    struct recompress *recompress = &parts->recompress;
    struct slot_table *slots = &parts->slots;
    struct bench bench;
    uint64_t seen_bytes = 0;
    int r;

    if ((r = context_set_add_decompressor(&parts->contexts, choice.id)) < 0 ||
        (r = tried_open(parts)) < 0 || (r = bench_open(&bench, parts, choice)) < 0)
        return r;
    if (recompress->choice.id != choice.id || recompress->choice.level != choice.level)
        tried_forget(parts);
    recompress->choice = choice;
    work->total = slots->slots;
    for (slot_t slot = 0;
         !work->cancelled && seen_bytes < filter->max_bytes &&
         (slot = slot_next_present(slots, slot, slots->slots)) < slots->slots;
         slot++) {
        struct slot_age age;

        slot_look(slots, slot, &age);
        if ((age.state == SLOT_COMPRESSED || age.state == SLOT_HUGE) &&
            filter_lets(filter, age.marks & SLOT_IDLE, age.state == SLOT_HUGE))
            try_page(&bench, slot, work, &seen_bytes);
        work->done = slot;
    }
    bench_close(&bench);
    if (work->cancelled)
        return -ECANCELED;
    work->done = slots->slots;
    return bench.no_room;
}

void recompress_close(struct recompress *recompress)
{
    region_close(&recompress->tried);
}
