/* page.h - pure functions on one page
 *
 * Owns:    nothing.
 * Called:  by any thread.
 * Locks:   none.
 * Never:   allocates, fails or looks outside the page it was given.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_PAGE_H
#define ZSLOT_PAGE_H

#include <stdbool.h>
#include <stdint.h>

/* The unit of content, in bytes.  It is what kernels swap by, and what an OS page is on
 * the machines we run on; region.c relies on the latter. */
#define PAGE_BYTES 4096u

/* To whole pages. */
static inline uint64_t page_round_up(uint64_t bytes)
{
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

/* Whether the page at DATA (any alignment) is one 64-bit word over and over; if it is,
 * *WORD is that word.  The bytes may change while we look, when they are a client's:
 * *WORD is read once, and what is returned with true was there at some time during the
 * call. */
bool page_is_same_filled(const void *data, uint64_t *word);

/* Fills BYTES bytes at OUT with WORD repeated, as they would be at OFFSET within a
 * page: a part of a same-filled page starts in the middle of a word when OFFSET is not
 * a multiple of 8. */
void page_fill(uint64_t word, uint32_t offset, uint32_t bytes, void *out);

#endif
