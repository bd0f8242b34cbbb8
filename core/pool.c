/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "pool.h"

#include <assert.h>
#include <errno.h>

#include "cleanup.h"
#include "gate.h"

/* How many spans of a bin are asked, when there is no RAM for more, for a place that
 * has some. */
#define SEARCH_MAX 64

/* A place that was taken. */
struct place {
    uint32_t span;
    unsigned index;
    const char *next; /* where the class's next object will be, if that is known */
};

static handle_t handle_make(uint32_t span, unsigned index)
{
    return (handle_t){(uint64_t)span << 8 | index};
}

static uint32_t handle_span(handle_t handle)
{
    return (uint32_t)(handle.value >> 8);
}

static unsigned handle_index(handle_t handle)
{
    return handle.value & 0xff;
}

int pool_open(struct pool *pool, uint64_t pages, struct memory *memory,
              bool lock_in_ram)
{
    /* Four times the windows that raw pages would fill, since spans of short objects use
     * little of theirs and sparse ones stand beside full ones; and some for each class.
     * It is only address space. */
    uint64_t count = 4 * (pages / SPAN_PAGES_MAX + 1) + 4 * SIZE_CLASSES;
    if (count >= SPAN_NONE)
        return -ENOMEM;

    size_class_init();
    atomic_init(&pool->live_bytes, 0);
    int r = span_table_open(&pool->table, (uint32_t)count, memory, lock_in_ram);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < SIZE_CLASSES; i++) {
        struct pool_class *class = &pool->classes[i];

        lock_init(&class->lock, LOCK_RANK_CLASS);
        for (unsigned bin = 0; bin < POOL_BINS; bin++)
            class->bins[bin] = SPAN_NONE;
        class->spans = 0;
        class->live = 0;
    }
    return 0;
}

int pool_start(struct pool *pool)
{
    return span_table_start(&pool->table);
}

void pool_close(struct pool *pool)
{
    if (!pool->table.objects.base)
        return;
    for (unsigned i = 0; i < SIZE_CLASSES; i++)
        lock_destroy(&pool->classes[i].lock);
    span_table_close(&pool->table);
}

static void bin_remove_locked(struct pool *pool, struct pool_class *class,
                              struct span *span)
{
    if (span->isolated)
        return;
    if (span->prev == SPAN_NONE)
        class->bins[span->bin] = span->next;
    else
        span_at(&pool->table, span->prev)->next = span->next;
    if (span->next != SPAN_NONE)
        span_at(&pool->table, span->next)->prev = span->prev;
    span->isolated = true;
}

/* Puts the span where its fullness says.  Full spans and those being emptied are in no
 * bin. */
static void bin_place_locked(struct pool *pool, struct pool_class *class,
                             uint32_t number)
{
    struct span *span = span_at(&pool->table, number);
    unsigned objects = size_classes[span->class].objects;

    if (span->emptying)
        return;
    if (span->live == objects) {
        bin_remove_locked(pool, class, span);
        return;
    }

    unsigned bin = span->live * POOL_BINS / objects;
    if (!span->isolated) {
        if (span->bin == bin)
            return;
        bin_remove_locked(pool, class, span);
    }
    span->isolated = false;
    span->bin = (uint8_t)bin;
    span->prev = SPAN_NONE;
    span->next = class->bins[bin];
    if (span->next != SPAN_NONE)
        span_at(&pool->table, span->next)->prev = number;
    class->bins[bin] = number;
}

/* Finds a place that has RAM already, when there is no more to have. */
static int place_in_ram_locked(struct pool *pool, struct pool_class *class,
                               struct place *place)
{
    for (unsigned bin = POOL_BINS; bin-- > 0;) {
        unsigned asked = 0;

        for (uint32_t n = class->bins[bin]; n != SPAN_NONE && asked < SEARCH_MAX;
             asked++) {
            if (span_place(&pool->table, n, &place->index) == 0) {
                place->span = n;
                return 0;
            }
            n = span_at(&pool->table, n)->next;
        }
    }
    return -ENOSPC;
}

/* What the class will give next, when it has just given a place of span NUMBER. */
static const char *next_locked(const struct pool *pool, const struct pool_class *class,
                               unsigned class_number, uint32_t number)
{
    const struct span *span = span_at(&pool->table, number);

    if (span->live == size_classes[class_number].objects) {
        number = class->bins[POOL_BINS - 1];
        if (number == SPAN_NONE)
            return NULL;
        span = span_at(&pool->table, number);
    }
    return span_object(&pool->table, number, class_number, span_lowest_free(span));
}

/* Has the processor bring a place near that will be used.  A store to one long unused waits for
 * its page's address above all; the next writer of the class comes after some hundred
 * others, and finds it.  Not all of its lines: asking for them takes longer than it saves. */
static void prefetch(const char *place, unsigned bytes)
{
    const char *last = place + bytes - 1;

    __builtin_prefetch(place, 1);
    if ((uintptr_t)place / PAGE_BYTES != (uintptr_t)last / PAGE_BYTES)
        __builtin_prefetch(last, 1);
}

/* A used place of the class, whose owner is not set yet. */
static int alloc_place(struct pool *pool, unsigned class_number, struct place *place)
{
    struct pool_class *class = &pool->classes[class_number];
    int r;

    LOCK_FOR_SCOPE(&class->lock);
    /* The fullest first: the others drain, and one day are empty. */
    place->span = SPAN_NONE;
    for (unsigned bin = POOL_BINS; bin-- > 0 && place->span == SPAN_NONE;)
        place->span = class->bins[bin];

    if (place->span == SPAN_NONE) {
        r = span_take(&pool->table, class_number, &place->span);
        if (r < 0)
            return r;
        r = span_place(&pool->table, place->span, &place->index);
        if (r < 0) {
            span_drop(&pool->table, place->span);
            return r;
        }
        class->spans++;
    } else {
        r = span_place(&pool->table, place->span, &place->index);
        if (r < 0 && place_in_ram_locked(pool, class, place) < 0)
            return r;
    }
    class->live++;
    atomic_fetch_add_explicit(&pool->live_bytes,
                              size_classes[class_number].stride_bytes,
                              memory_order_relaxed);
    bin_place_locked(pool, class, place->span);
    place->next = next_locked(pool, class, class_number, place->span);
    return 0;
}

int pool_alloc(struct pool *pool, uint32_t length, uint32_t owner, handle_t *handle)
{
    unsigned class_number = size_class_of(length);
    struct place place;

    int r = gate(GATE_POOL_ALLOC, owner);
    if (r == 0)
        r = alloc_place(pool, class_number, &place);
    if (r < 0)
        return r;
    span_set_owner(&pool->table, place.span, place.index, owner);
    if (place.next)
        prefetch(place.next, size_classes[class_number].stride_bytes);
    *handle = handle_make(place.span, place.index);
    return 0;
}

void pool_prefetch(const struct pool *pool, handle_t handle)
{
    __builtin_prefetch(span_at(&pool->table, handle_span(handle)), 1);
}

void pool_free(struct pool *pool, handle_t handle)
{
    uint32_t number = handle_span(handle);
    struct span *span = span_at(&pool->table, number);
    /* Stable: the span cannot be dropped while this object is in it. */
    struct pool_class *class = &pool->classes[span->class];
    bool empty;

    {
        LOCK_FOR_SCOPE(&class->lock);
        span_unplace(&pool->table, number, handle_index(handle));
        class->live--;
        atomic_fetch_sub_explicit(&pool->live_bytes,
                                  size_classes[span->class].stride_bytes,
                                  memory_order_relaxed);
        empty = span->live == 0 && !span->pinned;
        if (empty) {
            bin_remove_locked(pool, class, span);
            class->spans--;
        } else
            bin_place_locked(pool, class, number);
    }
    if (empty)
        span_drop(&pool->table, number);
}

/* The sparsest span of the class, or SPAN_NONE. */
static uint32_t sparsest_locked(const struct pool_class *class)
{
    for (unsigned bin = 0; bin < POOL_BINS; bin++)
        if (class->bins[bin] != SPAN_NONE)
            return class->bins[bin];
    return SPAN_NONE;
}

/* Free places in all spans of the class but this one. */
static uint64_t free_elsewhere_locked(const struct pool_class *class,
                                      const struct span *span)
{
    unsigned objects = size_classes[span->class].objects;

    return (uint64_t) class->spans * objects - class->live - (objects - span->live);
}

bool pool_victim_choose(struct pool *pool, unsigned class_number,
                        struct pool_victim *victim)
{
    struct pool_class *class = &pool->classes[class_number];
    LOCK_FOR_SCOPE(&class->lock);

    uint32_t number = sparsest_locked(class);
    if (number == SPAN_NONE)
        return false;

    struct span *span = span_at(&pool->table, number);
    uint64_t free_elsewhere = free_elsewhere_locked(class, span);

    *victim = (struct pool_victim){.class = class_number, .span = number};
    /* It stays when the others have no room for all of its objects.  Some can still
     * move to the others, and then some towards its start, to free what is behind. */
    victim->packing = free_elsewhere < span->live;
    if (free_elsewhere == 0 && span_lowest_free(span) > span_highest_used(span))
        return false;
    span->pinned = true;
    if (free_elsewhere > 0) {
        bin_remove_locked(pool, class, span);
        span->emptying = true;
    }
    return true;
}

bool pool_victim_next(struct pool *pool, struct pool_victim *victim, handle_t *handle,
                      uint32_t *owner)
{
    struct pool_class *class = &pool->classes[victim->class];
    struct span *span = span_at(&pool->table, victim->span);
    LOCK_FOR_SCOPE(&class->lock);
    unsigned index;

    if (victim->packing) {
        /* Each step moves one object away or down: a span's worth of steps is enough. */
        if (span->live == 0 || victim->next++ == SPAN_OBJECTS_MAX)
            return false;
        if (span->emptying && free_elsewhere_locked(class, span) == 0) {
            span->emptying = false;
            bin_place_locked(pool, class, victim->span);
        }
        index = span_highest_used(span);
        if (!span->emptying && span_lowest_free(span) > index)
            return false;
    } else {
        index = span_next_used(span, victim->next);
        if (index == SPAN_OBJECTS_MAX)
            return false;
        victim->next = index + 1;
    }
    *handle = handle_make(victim->span, index);
    *owner = span_owner(&pool->table, victim->span, index);
    return true;
}

bool pool_victim_done(struct pool *pool, struct pool_victim *victim)
{
    struct pool_class *class = &pool->classes[victim->class];
    struct span *span = span_at(&pool->table, victim->span);

    {
        LOCK_FOR_SCOPE(&class->lock);
        span->pinned = span->emptying = false;
        if (span->live > 0) {
            unsigned before = span->pages;

            bin_place_locked(pool, class, victim->span);
            span_trim(&pool->table, victim->span);
            return span->pages < before;
        }
        bin_remove_locked(pool, class, span);
        class->spans--;
    }
    span_drop(&pool->table, victim->span);
    return true;
}

/* -- What a former process left. -- */

unsigned pool_pages_up_to(handle_t handle, uint32_t length)
{
    return span_pages_up_to(size_class_of(length), handle_index(handle));
}

int pool_adopt_begin(struct pool *pool, uint32_t spans)
{
    return spans > pool->table.count ? -EUCLEAN : span_adopt_begin(&pool->table, spans);
}

int pool_adopt(struct pool *pool, handle_t handle, uint32_t length, uint32_t owner)
{
    unsigned number = size_class_of(length);
    int r = span_adopt(&pool->table, handle_span(handle), number, handle_index(handle),
                       owner);

    if (r == 0) {
        pool->classes[number].live++;
        pool->live_bytes += size_classes[number].stride_bytes;
    }
    return r;
}

int pool_adopt_end(struct pool *pool)
{
    /* From the last to the first: the free ones are used in rising order then. */
    for (uint32_t n = pool->table.high; n-- > 0;) {
        struct span *span = span_at(&pool->table, n);
        int r = span_adopt_end(&pool->table, n);

        if (r < 0)
            return r;
        if (span->live == 0)
            continue;
        struct pool_class *class = &pool->classes[span->class];
        LOCK_FOR_SCOPE(&class->lock);
        class->spans++;
        bin_place_locked(pool, class, n);
    }
    span_clear_rest(&pool->table);
    return 0;
}

uint64_t pool_free_bytes(const struct pool *pool)
{
    uint64_t committed = pool->table.committed_bytes, live = pool->live_bytes;

    return committed > live ? committed - live : 0;
}

uint64_t pool_objects(struct pool *pool)
{
    uint64_t objects = 0;

    for (unsigned i = 0; i < SIZE_CLASSES; i++) {
        LOCK_FOR_SCOPE(&pool->classes[i].lock);
        objects += pool->classes[i].live;
    }
    return objects;
}

bool pool_is_object(struct pool *pool, handle_t handle, uint32_t length, uint32_t owner)
{
    uint32_t number = handle_span(handle);
    unsigned index = handle_index(handle);
    struct pool_class *class = &pool->classes[size_class_of(length)];

    if (number >= pool->table.count)
        return false;
    LOCK_FOR_SCOPE(&class->lock);
    struct span *span = span_at(&pool->table, number);
    return span->class == size_class_of(length) &&
           index < size_classes[span->class].objects &&
           (span->used[index / 64] >> index % 64 & 1) &&
           span_owner(&pool->table, number, index) == owner;
}
