/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "sample.h"

#include <string.h>

#include "harness.h"

static void fill_random(uint64_t *state, unsigned char *out, uint32_t bytes)
{
    for (uint32_t at = 0; at < bytes; at += 8) {
        uint64_t word = harness_random(state);
        memcpy(out + at, &word, bytes - at < 8 ? bytes - at : 8);
    }
}

void sample_sized(uint32_t bytes, uint64_t seed, void *page)
{
    uint64_t state = seed ^ UINT64_C(0x5a17);

    memset(page, 0, PAGE);
    fill_random(&state, page, bytes);
}

static void fill_text(uint64_t *state, char *out)
{
    static const char *const words[] = {"slot ",  "page ",   "object ", "handle ",
                                        "extent", "segment", ". ",      "idle "};
    uint32_t at = 0;

    while (at < PAGE) {
        uint64_t random = harness_random(state);
        const char *word = words[random % 8];
        uint32_t length = (uint32_t)strlen(word);

        if (length > PAGE - at)
            length = PAGE - at;
        memcpy(out + at, word, length);
        at += length;
        if (random >> 8 & 1 && at < PAGE)
            out[at++] = (char)(random >> 16);
    }
}

void sample_page(enum sample kind, uint64_t seed, void *page)
{
    uint64_t state = seed * 31 + (uint64_t)kind;

    memset(page, 0, PAGE);
    switch (kind) {
    case SAMPLE_ZERO:
    case SAMPLE_COUNT:
        return;
    case SAMPLE_SAME: {
        uint64_t word = harness_random(&state) | 1;
        for (uint32_t at = 0; at < PAGE; at += 8)
            memcpy((char *)page + at, &word, 8);
        return;
    }
    case SAMPLE_TEXT:
        fill_text(&state, page);
        return;
    case SAMPLE_SPARSE:
        for (unsigned i = 0; i < 5; i++)
            fill_random(&state,
                        (unsigned char *)page + harness_random(&state) % 500 * 8, 8);
        return;
    case SAMPLE_MIXED:
        fill_random(&state, page, (uint32_t)(harness_random(&state) % 3700) + 16);
        return;
    case SAMPLE_RANDOM:
        fill_random(&state, page, PAGE);
        return;
    }
}

void sample_fill(enum sample kind, uint64_t seed, uint64_t bytes, void *to)
{
    char page[PAGE];

    for (uint64_t at = 0; at < bytes; at += PAGE) {
        sample_page(kind, seed + at / PAGE, page);
        memcpy((char *)to + at, page, bytes - at < PAGE ? bytes - at : PAGE);
    }
}
