/* content.c - what a page of a test holds
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "content.h"

#include <stdio.h>

#define LABEL 0x70617773766d6e62ull

enum { ZEROES = 1, SAME = 3, PATTERN = 26, MIXED = 56, KINDS = 64 };

/* splitmix64, as Sebastiano Vigna published it. */
uint64_t content_mix(uint64_t number)
{
    number += 0x9e3779b97f4a7c15ull;
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9ull;
    number = (number ^ (number >> 27)) * 0x94d049bb133111ebull;
    return number ^ (number >> 31);
}

static void fill(uint64_t *page, uint64_t word)
{
    for (unsigned i = 0; i < CONTENT_WORDS; i++)
        page[i] = word;
}

static unsigned noise_words(unsigned kind)
{
    if (kind < PATTERN)
        return 0;
    return kind < MIXED ? CONTENT_WORDS / 8 * (1 + kind % 4) : CONTENT_WORDS;
}

void content_make(uint64_t *page, uint64_t seed, uint64_t index, uint64_t version)
{
    const uint64_t hash =
        content_mix(seed ^ content_mix(2 * index + 1) ^ content_mix(version << 40));
    const unsigned kind = (hash >> 7) % KINDS;

    if (kind < SAME) {
        fill(page, kind < ZEROES ? 0 : hash);
        return;
    }
    page[0] = LABEL;
    page[1] = index;
    page[2] = version;
    page[3] = hash;

    const unsigned noise = noise_words(kind);
    uint64_t random = hash | 1;
    unsigned i = 4;
    for (; i < noise; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        page[i] = random;
    }
    const uint64_t half = (uint32_t)(random >> 16) | 1;
    for (; i < CONTENT_WORDS; i++)
        page[i] = i % 16 ? half << 32 | half : (hash & ~0xffffull) + i;
}

void content_describe(const uint64_t *found, const uint64_t *wanted, uint64_t index,
                      uint64_t version)
{
    unsigned different = 0;
    unsigned set = 0;

    for (unsigned i = 0; i < CONTENT_WORDS; i++) {
        different += found[i] != wanted[i];
        set += found[i] != 0;
    }
    printf("page %llu version %llu: %u words differ: ", (unsigned long long)index,
           (unsigned long long)version, different);
    if (set == 0)
        printf("it is zeroes\n");
    else if (found[0] == LABEL)
        printf("it is labelled page %llu version %llu\n", (unsigned long long)found[1],
               (unsigned long long)found[2]);
    else
        printf("it has no label\n");
    fflush(stdout);
}
