/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "corpus.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* A frame's declared size is believed up to here. */
#define CORPUS_BYTES_MAX (UINT64_C(4) << 30)

static int read_file(const char *path, unsigned char **bytes, size_t *length,
                     struct reason *reason)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return reason_say(reason, -errno, "corpus %s: %s", path, strerror(errno));

    int r = 0;
    unsigned char *all = NULL;
    long end = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (end <= 0 || !(all = malloc((size_t)end)))
        r = reason_say(reason, -EINVAL, "corpus %s: empty, or cannot be read whole",
                       path);
    rewind(file);
    if (r == 0 && fread(all, 1, (size_t)end, file) != (size_t)end)
        r = reason_say(reason, -EIO, "corpus %s: cannot be read", path);
    fclose(file);
    if (r < 0) {
        free(all);
        return r;
    }
    *bytes = all;
    *length = (size_t)end;
    return 0;
}

/* Replaces BYTES by what they are compressed from. */
static int expand(const char *path, unsigned char **bytes, size_t *length,
                  struct reason *reason)
{
    unsigned long long size = ZSTD_getFrameContentSize(*bytes, *length);
    if (size == ZSTD_CONTENTSIZE_ERROR)
        return 0; /* not zstd: raw pages */
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size > CORPUS_BYTES_MAX)
        return reason_say(
            reason, -EINVAL,
            "corpus %s: the zstd frame does not say its size, or more than 4 GiB",
            path);

    unsigned char *all = malloc(size ? size : 1);
    if (!all)
        return reason_say(reason, -ENOMEM, "corpus %s: no memory for %llu bytes", path,
                          size);
    size_t n = ZSTD_decompress(all, size, *bytes, *length);
    if (ZSTD_isError(n)) {
        free(all);
        return reason_say(reason, -EINVAL, "corpus %s: %s", path, ZSTD_getErrorName(n));
    }
    free(*bytes);
    *bytes = all;
    *length = n;
    return 0;
}

static bool is_same_filled(const struct corpus *corpus, uint32_t number)
{
    uint64_t word;

    return page_is_same_filled(corpus->pages + (size_t)number * PAGE_BYTES, &word);
}

int corpus_load(const char *path, struct corpus *corpus, struct reason *reason)
{
    size_t length = 0;

    *corpus = (struct corpus){0};
    int r = read_file(path, &corpus->pages, &length, reason);
    if (r == 0)
        r = expand(path, &corpus->pages, &length, reason);
    if (r == 0 && (length == 0 || length % PAGE_BYTES || length > CORPUS_BYTES_MAX))
        r = reason_say(
            reason, -EINVAL,
            "corpus %s: %zu bytes, which are not whole pages of %u up to 4 GiB", path,
            length, PAGE_BYTES);
    if (r < 0) {
        corpus_unload(corpus);
        return r;
    }
    corpus->count = (uint32_t)(length / PAGE_BYTES);
    for (uint32_t i = 0; i < corpus->count; i++)
        corpus->same_filled += is_same_filled(corpus, i);
    if (corpus->same_filled == corpus->count) {
        corpus_unload(corpus);
        return reason_say(reason, -EINVAL, "corpus %s: all pages are same-filled",
                          path);
    }
    return 0;
}

void corpus_unload(struct corpus *corpus)
{
    free(corpus->pages);
    corpus->pages = NULL;
}

void corpus_drop_same_filled(struct corpus *corpus)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < corpus->count; i++)
        if (!is_same_filled(corpus, i))
            memmove(corpus->pages + (size_t)kept++ * PAGE_BYTES,
                    corpus->pages + (size_t)i * PAGE_BYTES, PAGE_BYTES);
    corpus->count = kept;
}

void corpus_page(const struct corpus *corpus, uint64_t slot, uint32_t version,
                 void *out)
{
    uint64_t state = slot << 32 | version, word;
    uint64_t random = corpus_random(&state);
    uint64_t number = version == 0 ? slot : random >> 32;
    unsigned char *page = out;

    memcpy(page, corpus->pages + number % corpus->count * PAGE_BYTES, PAGE_BYTES);
    if (page_is_same_filled(page, &word))
        return;
    /* Anywhere in the page, on 4 bytes that were perhaps a pointer's half or a number. */
    unsigned at = (unsigned)random % (PAGE_BYTES / 4) * 4;
    uint32_t change = ((uint32_t)slot ^ version << 24) + 1, here;
    memcpy(&here, page + at, sizeof here);
    here ^= change;
    memcpy(page + at, &here, sizeof here);
}

void corpus_shuffle(uint32_t *order, uint32_t count, uint64_t *state)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t j = (uint32_t)(corpus_random(state) % (i + 1));

        order[i] = order[j];
        order[j] = i;
    }
}
