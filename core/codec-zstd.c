/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "codec.h"

#include <errno.h>
/* For contexts in memory of ours, and frames without the magic number. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "page.h"

/* An object is a zstd frame (RFC 8878) without the magic number, content size and
 * checksum: all three are known here, and on real pages leaving them out saves 0.4
 * %. */

static size_t zstd_compressor_bytes(int level)
{
    return ZSTD_estimateCCtxSize_usingCParams(ZSTD_getCParams(level, PAGE_BYTES, 0));
}

static void *zstd_compressor_init(void *memory, size_t bytes, int level)
{
    ZSTD_CCtx *cctx = ZSTD_initStaticCCtx(memory, bytes);

    if (!cctx ||
        ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, level)) ||
        ZSTD_isError(
            ZSTD_CCtx_setParameter(cctx, ZSTD_c_format, ZSTD_f_zstd1_magicless)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_contentSizeFlag, 0)))
        return NULL;
    return cctx;
}

static size_t zstd_decompressor_bytes(void)
{
    return ZSTD_estimateDCtxSize();
}

static void *zstd_decompressor_init(void *memory, size_t bytes)
{
    ZSTD_DCtx *dctx = ZSTD_initStaticDCtx(memory, bytes);

    if (!dctx || ZSTD_isError(ZSTD_DCtx_setParameter(dctx, ZSTD_d_format,
                                                     ZSTD_f_zstd1_magicless)))
        return NULL;
    return dctx;
}

static uint32_t zstd_compress(void *compressor, const void *page, uint32_t room,
                              void *out)
{
    size_t n = ZSTD_compress2(compressor, out, room, page, PAGE_BYTES);

    /* The only error there can be is that the page needs more room. */
    return ZSTD_isError(n) ? 0 : (uint32_t)n;
}

static int zstd_decompress(void *decompressor, const void *object, uint32_t length,
                           void *page)
{
    size_t n = ZSTD_decompressDCtx(decompressor, page, PAGE_BYTES, object, length);

    return n == PAGE_BYTES ? 0 : -EIO;
}

const struct codec codec_zstd = {
    .name = "zstd",
    .level_min = -7,
    .level_max = 19,
    .level_default = 1,
    .summary = "the densest; level 1 is the knee on memory pages, -1 is faster",
    .compressor_bytes = zstd_compressor_bytes,
    .compressor_init = zstd_compressor_init,
    .decompressor_bytes = zstd_decompressor_bytes,
    .decompressor_init = zstd_decompressor_init,
    .compress = zstd_compress,
    .decompress = zstd_decompress,
};
