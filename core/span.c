/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "span.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "cleanup.h"

#define SPANS_PER_PAGE (PAGE_BYTES / sizeof(struct span))

int span_table_open(struct span_table *table, uint32_t count, struct memory *memory,
                    bool lock_in_ram)
{
    table->count = count;
    table->free_head = SPAN_NONE;
    table->high = 0;
    atomic_init(&table->committed_bytes, 0);

    int r = region_open(&table->objects, REGION_SHARED, "zslot-pool",
                        (uint64_t)count * SPAN_BYTES, memory, lock_in_ram);
    if (r < 0)
        return r;
    r = region_open(&table->spans, REGION_PRIVATE, "zslot-spans",
                    (uint64_t)count * sizeof(struct span), memory, lock_in_ram);
    if (r < 0) {
        region_close(&table->objects);
        return r;
    }
    lock_init(&table->lock, LOCK_RANK_SPAN);
    return 0;
}

int span_table_start(struct span_table *table)
{
    int r = region_start(&table->objects);

    return r < 0 ? r : region_start(&table->spans);
}

void span_table_close(struct span_table *table)
{
    if (!table->objects.base)
        return;
    region_close(&table->objects);
    region_close(&table->spans);
    lock_destroy(&table->lock);
}

/* Descriptors get RAM a page of them at a time, and keep it. */
static int commit_descriptors(struct span_table *table, uint32_t number)
{
    if (number % SPANS_PER_PAGE != 0)
        return 0;
    return region_commit(&table->spans, (uint64_t)number * sizeof(struct span),
                         PAGE_BYTES);
}

int span_take(struct span_table *table, unsigned class, uint32_t *number)
{
    LOCK_FOR_SCOPE(&table->lock);
    uint32_t taken = table->free_head;

    if (taken != SPAN_NONE)
        table->free_head = span_at(table, taken)->next;
    else {
        if (table->high == table->count)
            return -ENOSPC;
        int r = commit_descriptors(table, table->high);
        if (r < 0)
            return r;
        taken = table->high++;
    }

    struct span *span = span_at(table, taken);
    memset(span, 0, sizeof *span);
    span->class = (uint8_t) class;
    span->prev = span->next = SPAN_NONE;
    span->isolated = true;
    *number = taken;
    return 0;
}

void span_drop(struct span_table *table, uint32_t number)
{
    struct span *span = span_at(table, number);

    assert(span->live == 0);
    if (span->pages > 0) {
        region_release(&table->objects, (uint64_t)number * SPAN_BYTES,
                       span->pages * (uint64_t)PAGE_BYTES);
        table->committed_bytes -= span->pages * (uint64_t)PAGE_BYTES;
    }
    span->pages = 0;

    LOCK_FOR_SCOPE(&table->lock);
    span->next = table->free_head;
    table->free_head = number;
}

unsigned span_pages_up_to(unsigned class, unsigned index)
{
    return ((index + 1) * size_classes[class].stride_bytes + PAGE_BYTES - 1) /
           PAGE_BYTES;
}

uint64_t span_descriptor_pages(uint32_t count)
{
    return (count + SPANS_PER_PAGE - 1) / SPANS_PER_PAGE;
}

unsigned span_lowest_free(const struct span *span)
{
    unsigned objects = size_classes[span->class].objects;

    for (unsigned word = 0; word * 64 < objects; word++)
        if (~span->used[word]) {
            unsigned index = word * 64 + (unsigned)__builtin_ctzll(~span->used[word]);
            return index < objects ? index : objects;
        }
    return objects;
}

unsigned span_next_used(const struct span *span, unsigned from)
{
    for (unsigned word = from / 64; word < SPAN_OBJECTS_MAX / 64; word++) {
        uint64_t bits = span->used[word];
        if (word == from / 64)
            bits &= UINT64_MAX << from % 64;
        if (bits)
            return word * 64 + (unsigned)__builtin_ctzll(bits);
    }
    return SPAN_OBJECTS_MAX;
}

unsigned span_highest_used(const struct span *span)
{
    for (unsigned word = SPAN_OBJECTS_MAX / 64; word-- > 0;)
        if (span->used[word])
            return word * 64 + 63 - (unsigned)__builtin_clzll(span->used[word]);
    assert(!"span_highest_used: the span is empty");
    return 0;
}

static _Atomic uint32_t *owner_of(const struct span_table *table, uint32_t number,
                                  unsigned index)
{
    struct span *span = span_at(table, number);

    if (span->class == SIZE_CLASS_RAW)
        return &span->raw_owners[index];
    /* Strides are multiples of 16: the last four bytes are aligned. */
    return (_Atomic uint32_t *)(span_object(table, number, span->class, index + 1) - 4);
}

int span_place(struct span_table *table, uint32_t number, unsigned *index)
{
    struct span *span = span_at(table, number);
    unsigned place = span_lowest_free(span);
    assert(place < size_classes[span->class].objects);

    unsigned pages = span_pages_up_to(span->class, place);
    if (pages > span->pages) {
        int r = region_commit(&table->objects,
                              (uint64_t)number * SPAN_BYTES + span->pages * PAGE_BYTES,
                              (uint64_t)(pages - span->pages) * PAGE_BYTES);
        if (r < 0)
            return r;
        table->committed_bytes += (uint64_t)(pages - span->pages) * PAGE_BYTES;
        span->pages = (uint8_t)pages;
    }

    span->used[place / 64] |= UINT64_C(1) << place % 64;
    span->live++;
    *index = place;
    return 0;
}

void span_unplace(struct span_table *table, uint32_t number, unsigned index)
{
    struct span *span = span_at(table, number);

    assert(span->used[index / 64] >> index % 64 & 1);
    span->used[index / 64] &= ~(UINT64_C(1) << index % 64);
    span->live--;
}

uint32_t span_owner(const struct span_table *table, uint32_t number, unsigned index)
{
    return atomic_load_explicit(owner_of(table, number, index), memory_order_relaxed);
}

void span_set_owner(struct span_table *table, uint32_t number, unsigned index,
                    uint32_t owner)
{
    atomic_store_explicit(owner_of(table, number, index), owner, memory_order_relaxed);
}

void span_trim(struct span_table *table, uint32_t number)
{
    struct span *span = span_at(table, number);
    unsigned keep =
        span->live ? span_pages_up_to(span->class, span_highest_used(span)) : 0;

    if (keep >= span->pages)
        return;
    region_release(&table->objects, (uint64_t)number * SPAN_BYTES + keep * PAGE_BYTES,
                   (uint64_t)(span->pages - keep) * PAGE_BYTES);
    table->committed_bytes -= (uint64_t)(span->pages - keep) * PAGE_BYTES;
    span->pages = (uint8_t)keep;
}

/* -- What a former process left. -- */

int span_adopt_begin(struct span_table *table, uint32_t count)
{
    for (; table->high < count; table->high++) {
        int r = commit_descriptors(table, table->high);
        if (r < 0)
            return r;
    }
    return 0;
}

int span_adopt(struct span_table *table, uint32_t number, unsigned class,
               unsigned index, uint32_t owner)
{
    if (number >= table->high || index >= size_classes[class].objects)
        return -EUCLEAN;
    struct span *span = span_at(table, number);
    if (span->live == 0) {
        span->class = (uint8_t) class;
        span->prev = span->next = SPAN_NONE;
        span->isolated = true;
    }
    if (span->class != class || span->used[index / 64] >> index % 64 & 1)
        return -EUCLEAN;

    unsigned pages = span_pages_up_to(class, index);
    if (pages > span->pages)
        span->pages = (uint8_t)pages;
    span->used[index / 64] |= UINT64_C(1) << index % 64;
    span->live++;
    /* Behind an object of another class its owner is there already: it was set before any
     * slot referred to the place. */
    if (class == SIZE_CLASS_RAW)
        span_set_owner(table, number, index, owner);
    return 0;
}

int span_adopt_end(struct span_table *table, uint32_t number)
{
    struct span *span = span_at(table, number);

    if (span->live == 0) {
        span->next = table->free_head;
        table->free_head = number;
        return 0;
    }
    int r = region_adopt(&table->objects, (uint64_t)number * SPAN_BYTES,
                         span->pages * (uint64_t)PAGE_BYTES);
    if (r == 0)
        table->committed_bytes += span->pages * (uint64_t)PAGE_BYTES;
    return r;
}

void span_clear_rest(struct span_table *table)
{
    for (uint64_t start, end = 0;
         region_next_content(&table->objects, end, &start, &end);)
        while (start < end) {
            uint64_t number = start / SPAN_BYTES, stop = (number + 1) * SPAN_BYTES;
            uint64_t from = number * SPAN_BYTES;

            if (number < table->high)
                from += span_at(table, (uint32_t)number)->pages * (uint64_t)PAGE_BYTES;
            if (from < start)
                from = start;
            if (stop > end)
                stop = end;
            if (from < stop)
                region_clear(&table->objects, from, stop - from);
            start = stop;
        }
}
