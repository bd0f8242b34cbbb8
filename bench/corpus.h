/* corpus.h - the pages that the benchmarks work on
 *
 * Owns:    pages loaded from a file: raw pages one after another, or that compressed by zstd.
 * Called:  corpus_load() by one thread, the rest by any.
 * Locks:   none.
 * Never:   prints; what it refuses, it says in a reason.
 *
 * A volume is larger than a corpus, so pages come again, each time with four of its bytes changed:
 * no two pages of a volume are equal, and a page's compressed length stays within some bytes of
 * the original's.  Same-filled pages come again as they are.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BENCH_CORPUS_H
#define ZSLOT_BENCH_CORPUS_H

#include <stddef.h>
#include <stdint.h>

#include "page.h"
#include "reason.h"

struct corpus {
    unsigned char *pages;
    uint32_t count;
    uint32_t
        same_filled; /* how many of them are, or were before corpus_drop_same_filled() */
};

/* A negative errno with a sentence. */
int corpus_load(const char *path, struct corpus *corpus, struct reason *reason);
void corpus_unload(struct corpus *corpus);

/* Leaves those pages that a codec gets to see. */
void corpus_drop_same_filled(struct corpus *corpus);

/* The page that SLOT has at VERSION: at 0 the corpus in its order, later any page of it. */
void corpus_page(const struct corpus *corpus, uint64_t slot, uint32_t version,
                 void *out);

/* A pseudo-random number (splitmix64, Steele and others 2014); STATE is any number at first. */
static inline uint64_t corpus_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 0 to COUNT - 1 in a random order, into ORDER. */
void corpus_shuffle(uint32_t *order, uint32_t count, uint64_t *state);

#endif
