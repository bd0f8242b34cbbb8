/* content.h - what a page of a test holds, so that any other content can be told from it
 *
 * Owns:    nothing: pure functions.
 * Called:  by press and files, in the guest, from any thread.
 * Locks:   nothing.
 * Never:   allocates.
 *
 * A page is a function of (seed, index, version). Of 64 pages one is zeroes, two are one word
 * repeated, 23 a short pattern with counters, 30 such a pattern after 1/8 to 4/8 of noise, and 8
 * nothing but noise. All but the first three carry their index and version, so that a page that is
 * found in another's place, or an old one, says so.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef VM_CONTENT_H
#define VM_CONTENT_H

#include <stdint.h>

enum { CONTENT_PAGE = 4096, CONTENT_WORDS = CONTENT_PAGE / 8 };

/* Another number for each number, with no pattern left. */
uint64_t content_mix(uint64_t number);

void content_make(uint64_t *page, uint64_t seed, uint64_t index, uint64_t version);

/* Prints a line about a page that is not what it should be. */
void content_describe(const uint64_t *found, const uint64_t *wanted, uint64_t index,
                      uint64_t version);

#endif
