/* span.h - runs of contiguous memory that hold objects of one size class
 *
 * Owns:    the pool's memory and, per span, which of its places are used and by whom.
 * Called:  by the pool, under the lock of the span's class unless said otherwise.
 * Locks:   LOCK_RANK_SPAN, for the list of free spans.
 * Never:   chooses between spans; that is the pool's.
 *
 * Spans have windows of SPAN_BYTES of address space each; a span uses as many OS pages
 * from the start of its window as its class says, and of these only those have RAM that
 * an object has reached.  The lowest free place is used first, so that what is in RAM
 * stays together.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SPAN_H
#define ZSLOT_SPAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lock.h"
#include "region.h"
#include "size-class.h"

#define SPAN_BYTES (SPAN_PAGES_MAX * PAGE_BYTES)
#define SPAN_NONE UINT32_MAX

struct span {
    /* Guarded by the lock of the class while the span has one. */
    uint64_t used[SPAN_OBJECTS_MAX / 64]; /* a bit per place */
    uint32_t prev, next;                  /* spans of the same class and fullness */
    uint16_t live;                        /* bits set in used */
    uint8_t class;
    uint8_t pages; /* OS pages in RAM, from the start */
    uint8_t bin;   /* the pool's list it is in */
    bool isolated; /* in no list: full, or being emptied */
    bool pinned;   /* a compaction is at work in it, which alone may drop it */
    bool emptying; /* its objects are to move elsewhere: goes into no list meanwhile */

    /* SIZE_CLASS_RAW: slot numbers; other classes keep them behind each object. */
    _Alignas(64) _Atomic uint32_t raw_owners[SPAN_PAGES_MAX];
};

struct span_table {
    struct region objects; /* a window per span */
    struct region spans;   /* a struct span each */
    uint32_t count;        /* windows in address space */

    struct lock lock;
    uint32_t free_head; /* dropped spans, by next; guarded by lock */
    uint32_t high;      /* spans ever taken; guarded by lock */

    _Atomic uint64_t committed_bytes; /* of objects, in RAM */
};

/* COUNT windows.  MEMORY is borrowed.  -ENOMEM. */
int span_table_open(struct span_table *table, uint32_t count, struct memory *memory,
                    bool lock_in_ram);
int span_table_start(struct span_table *table);
void span_table_close(struct span_table *table);

static inline struct span *span_at(const struct span_table *table, uint32_t number)
{
    return (struct span *)table->spans.base + number;
}

/* The bytes of place INDEX.  Any thread that knows the object is not freed
 * meanwhile. */
static inline char *span_object(const struct span_table *table, uint32_t number,
                                unsigned class, unsigned index)
{
    return table->objects.base + (uint64_t)number * SPAN_BYTES +
           (uint64_t)index * size_classes[class].stride_bytes;
}

/* Takes a free span for CLASS, with no RAM yet.  -ENOSPC: the memory limit, or no
 * window left. */
int span_take(struct span_table *table, unsigned class, uint32_t *number);

/* Gives back all RAM of an empty span, and its window.  The class's lock need not be
 * held when nobody else can find the span. */
void span_drop(struct span_table *table, uint32_t number);

/* Uses the lowest free place, which must exist.  -ENOSPC: RAM for it is past the memory
 * limit; nothing has changed. */
int span_place(struct span_table *table, uint32_t number, unsigned *index);

void span_unplace(struct span_table *table, uint32_t number, unsigned index);

/* OS pages that a span of CLASS needs for its places up to INDEX; and those of descriptors
 * for COUNT spans. */
unsigned span_pages_up_to(unsigned class, unsigned index);
uint64_t span_descriptor_pages(uint32_t count);

/* The lowest free place; the number of places when full. */
unsigned span_lowest_free(const struct span *span);

/* The first used place at or after FROM; SPAN_OBJECTS_MAX when there is none. */
unsigned span_next_used(const struct span *span, unsigned from);

/* The highest used place of a span that is not empty. */
unsigned span_highest_used(const struct span *span);

/* The slot of the object at a used place.  Before it is set it is that of the object
 * which was there last, or 0.  Set without the class's lock, by who has the place: the
 * store waits for memory, and would make all writers of the class wait. */
uint32_t span_owner(const struct span_table *table, uint32_t number, unsigned index);
void span_set_owner(struct span_table *table, uint32_t number, unsigned index,
                    uint32_t owner);

/* -- What a former process left; before anybody else is at work. -- */

/* The first COUNT windows may have had spans.  -ENOSPC, -ENOMEM: no RAM for their
 * descriptors. */
int span_adopt_begin(struct span_table *table, uint32_t count);

/* There is an object of CLASS at this place.  -EUCLEAN: there cannot be. */
int span_adopt(struct span_table *table, uint32_t number, unsigned class,
               unsigned index, uint32_t owner);

/* No more objects: takes over the RAM of a span, or puts it among the free ones when it
 * has none. */
int span_adopt_end(struct span_table *table, uint32_t number);

/* Gives back RAM that belongs to no span. */
void span_clear_rest(struct span_table *table);

/* Gives back RAM behind the last used place. */
void span_trim(struct span_table *table, uint32_t number);

#endif
