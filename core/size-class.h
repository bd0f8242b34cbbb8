/* size-class.h - sizes to classes and back
 *
 * Owns:    nothing; arithmetic only.
 * Called:  by any thread, after size_class_init().
 * Locks:   none.
 * Never:   knows of spans in use.
 *
 * An object of the pool has a place of one of these strides: every 16 bytes up to 2048,
 * every 32 up to 3840, and 4096 for a raw page.  A place holds the object and, in its
 * last 4 bytes, the number of the slot that owns it; a raw page leaves no room for
 * that, its owner is kept beside the span (span.h).
 *
 * A span of a class is as many OS pages, up to SPAN_PAGES_MAX, as waste the least at
 * its end; on a near tie the longer one, since address space, and with it VmLck, goes
 * by whole spans.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SIZE_CLASS_H
#define ZSLOT_SIZE_CLASS_H

#include <stdint.h>

#include "page.h"

#define SPAN_PAGES_MAX 16u
#define SPAN_OBJECTS_MAX 256u

/* The longest object that is worth compressing for: a page that comes out longer is
 * kept raw, which costs at most 1/16 more and spares every read the decompression. */
#define COMPRESSED_BYTES_MAX 3836u

#define SIZE_CLASS_FINE 127u  /* strides 32, 48 ... 2048 */
#define SIZE_CLASS_COARSE 56u /* strides 2080, 2112 ... 3840 */
#define SIZE_CLASS_RAW (SIZE_CLASS_FINE + SIZE_CLASS_COARSE)
#define SIZE_CLASSES (SIZE_CLASS_RAW + 1)

struct size_class {
    uint16_t stride_bytes; /* from one object of a span to the next */
    uint16_t objects;      /* in a span; at most SPAN_OBJECTS_MAX */
    uint8_t pages;         /* OS pages of a span */
};

extern struct size_class size_classes[SIZE_CLASSES];

/* Fills size_classes.  To be called before the rest; calling it again does no harm. */
void size_class_init(void);

/* The class for an object of LENGTH bytes: 1 to COMPRESSED_BYTES_MAX, or PAGE_BYTES. */
static inline unsigned size_class_of(uint32_t length)
{
    uint32_t stride = length + 4;

    if (stride <= 2048)
        return stride <= 32 ? 0 : (stride - 32 + 15) / 16;
    if (length <= COMPRESSED_BYTES_MAX)
        return SIZE_CLASS_FINE + (stride - 2048 + 31) / 32 - 1;
    return SIZE_CLASS_RAW;
}

#endif
