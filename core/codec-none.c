/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "codec.h"

#include <errno.h>

static uint32_t none_compress(void *compressor, const void *page, uint32_t room,
                              void *out)
{
    (void)compressor;
    (void)page;
    (void)room;
    (void)out;
    return 0; /* every page is incompressible, and so kept raw */
}

static int none_decompress(void *decompressor, const void *object, uint32_t length,
                           void *page)
{
    (void)decompressor;
    (void)object;
    (void)length;
    (void)page;
    return -EIO; /* there are no such objects */
}

const struct codec codec_none = {
    .name = "none",
    .summary = "no compression; same-filled pages still take no memory",
    .compress = none_compress,
    .decompress = none_decompress,
};
