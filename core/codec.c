/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "codec.h"

const struct codec *const codecs[CODEC_COUNT] = {
    [CODEC_NONE] = &codec_none,
    [CODEC_LZ4] = &codec_lz4,
    [CODEC_ZSTD] = &codec_zstd,
};
