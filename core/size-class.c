/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "size-class.h"

#include <pthread.h>

struct size_class size_classes[SIZE_CLASSES];

static void choose_span(struct size_class *class)
{
    /* Waste is compared in 1/1024 of the span; 2/1024 is a near tie. */
    unsigned least = 1024;

    for (unsigned pages = 1; pages <= SPAN_PAGES_MAX; pages++) {
        unsigned bytes = pages * PAGE_BYTES;
        unsigned objects = bytes / class->stride_bytes;
        if (objects == 0)
            continue;
        if (objects > SPAN_OBJECTS_MAX)
            objects = SPAN_OBJECTS_MAX;
        unsigned waste = (bytes - objects * class->stride_bytes) * 1024u / bytes;
        if (waste <= least + 2) {
            if (waste < least)
                least = waste;
            class->pages = (uint8_t)pages;
            class->objects = (uint16_t)objects;
        }
    }
}

static void fill_table(void)
{
    for (unsigned i = 0; i < SIZE_CLASSES; i++) {
        struct size_class *class = &size_classes[i];

        if (i < SIZE_CLASS_FINE)
            class->stride_bytes = (uint16_t)(32 + 16 * i);
        else if (i < SIZE_CLASS_RAW)
            class->stride_bytes = (uint16_t)(2048 + 32 * (i - SIZE_CLASS_FINE + 1));
        else
            class->stride_bytes = PAGE_BYTES;
        choose_span(class);
    }
}

void size_class_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, fill_table);
}
