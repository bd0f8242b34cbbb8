/* reserve.c - memory for what allocates, taken before there is none
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "reserve.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* Not inlined, or it would be the caller's stack for good. */
__attribute__((noinline)) static void touch_stack(void)
{
    char bytes[RESERVE_STACK];

    explicit_bzero(bytes, sizeof bytes);
}

static void touch_heap(void)
{
    void *bytes = malloc(RESERVE_HEAP);

    if (bytes)
        explicit_bzero(bytes, RESERVE_HEAP);
    free(bytes);
}

void reserve_memory(void)
{
    /* All from the heap, which never shrinks. */
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);
    touch_heap();
    touch_stack();
}
