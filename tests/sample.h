/* sample.h - pages to test with
 *
 * Owns:    nothing.
 * Called:  by tests, from any thread.
 * Locks:   none.
 * Never:   gives other bytes for the same arguments.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_SAMPLE_H
#define TESTS_SAMPLE_H

#include <stdint.h>

enum sample {
    SAMPLE_ZERO,
    SAMPLE_SAME,   /* a word over and over, not zero */
    SAMPLE_TEXT,   /* words of a small language */
    SAMPLE_SPARSE, /* a few words among zeroes */
    SAMPLE_MIXED,  /* random up to somewhere, zeroes after it */
    SAMPLE_RANDOM, /* incompressible */
    SAMPLE_COUNT
};

/* The page of KIND that SEED chooses. */
void sample_page(enum sample kind, uint64_t seed, void *page);

/* A page of BYTES random bytes (the rest is zeroes), so that all of one BYTES compress to objects
 * of the same size class, a little over BYTES. */
void sample_sized(uint32_t bytes, uint64_t seed, void *page);

/* BYTES of such pages, one after the other; the last may be cut short. */
void sample_fill(enum sample kind, uint64_t seed, uint64_t bytes, void *to);

#endif
