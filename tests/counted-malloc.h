/* counted-malloc.h - this program's malloc() counts who calls it, from any thread
 *
 * Owns:    malloc(), calloc() and realloc(); to be included by one file of a program.
 * Called:  by everybody.
 * Locks:   none.
 * Never:   together with a sanitizer, which has a malloc() of its own; HAS_COUNTED_MALLOC says so.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_COUNTED_MALLOC_H
#define TESTS_COUNTED_MALLOC_H

#include <stdatomic.h>
#include <stdlib.h>

#include "harness.h"

#if !defined HARNESS_ASAN && !defined HARNESS_TSAN
#define HAS_COUNTED_MALLOC 1

static _Atomic unsigned long allocations;

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);

void *malloc(size_t bytes)
{
    allocations++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    allocations++;
    return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    allocations++;
    return __libc_realloc(memory, bytes);
}

#endif
#endif
