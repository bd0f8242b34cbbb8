/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "bare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "size-class.h"

/* Aligned as the core's, and touched. */
static void *make(size_t bytes)
{
    size_t rounded = (bytes + PAGE_BYTES) / PAGE_BYTES * PAGE_BYTES;
    void *memory = aligned_alloc(PAGE_BYTES, rounded);

    if (memory)
        memset(memory, 0, rounded);
    return memory;
}

int bare_open(struct bare *bare, struct codec_choice choice)
{
    const struct codec *codec = codecs[choice.id];
    size_t in = codec->compressor_bytes ? codec->compressor_bytes(choice.level) : 0;
    size_t out = codec->decompressor_bytes ? codec->decompressor_bytes() : 0;

    *bare = (struct bare){
        .codec = codec, .memory = {make(in), make(out)}, .object = make(PAGE_BYTES)};
    if (!bare->memory[0] || !bare->memory[1] || !bare->object)
        return -ENOMEM;
    if (codec->compressor_init)
        bare->compressor = codec->compressor_init(bare->memory[0], in, choice.level);
    if (codec->decompressor_init)
        bare->decompressor = codec->decompressor_init(bare->memory[1], out);
    return (codec->compressor_init && !bare->compressor) ||
                   (codec->decompressor_init && !bare->decompressor)
               ? -ENOMEM
               : 0;
}

void bare_close(struct bare *bare)
{
    free(bare->memory[0]);
    free(bare->memory[1]);
    free(bare->object);
}

uint32_t bare_compress(struct bare *bare, const void *page)
{
    return bare->codec->compress(bare->compressor, page, COMPRESSED_BYTES_MAX,
                                 bare->object);
}

int bare_decompress(struct bare *bare, const void *object, uint32_t length, void *page)
{
    if (length < PAGE_BYTES)
        return bare->codec->decompress(bare->decompressor, object, length, page);
    memcpy(page, object, PAGE_BYTES);
    return 0;
}
