/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "codec.h"

#include <errno.h>
#include <lz4.h>

#include "page.h"

static size_t lz4_compressor_bytes(int level)
{
    (void)level;
    return (size_t)LZ4_sizeofState();
}

static void *lz4_compressor_init(void *memory, size_t bytes, int level)
{
    (void)bytes;
    (void)level;
    return memory; /* each call initialises it */
}

static uint32_t lz4_compress(void *compressor, const void *page, uint32_t room,
                             void *out)
{
    /* Acceleration 1, the library's default.  The "fast reset" variant saves nothing
     * here: it clears its table all the same from 4 KiB of input on. */
    int n = LZ4_compress_fast_extState(compressor, page, out, PAGE_BYTES, (int)room, 1);

    return n > 0 ? (uint32_t)n : 0;
}

static int lz4_decompress(void *decompressor, const void *object, uint32_t length,
                          void *page)
{
    (void)decompressor;
    int n = LZ4_decompress_safe(object, page, (int)length, PAGE_BYTES);

    return n == PAGE_BYTES ? 0 : -EIO;
}

const struct codec codec_lz4 = {
    .name = "lz4",
    .summary = "the fastest; some 40 % more bytes than zstd:1 on memory pages",
    .compressor_bytes = lz4_compressor_bytes,
    .compressor_init = lz4_compressor_init,
    .compress = lz4_compress,
    .decompress = lz4_decompress,
};
