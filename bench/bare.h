/* bare.h - the codec without zslot around it: what the core is compared with
 *
 * Owns:    one compressor and one decompressor, in memory of its own.
 * Called:  each by one thread.
 * Locks:   none.
 * Never:   looks for same-filled pages, allocates per page, or checks what it was given.
 *
 * The functions are the core's own, from the same table, with the room the core gives them, and
 * their output goes into one warm buffer, as the core's does.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BENCH_BARE_H
#define ZSLOT_BENCH_BARE_H

#include <stdint.h>

#include "codec.h"
#include "page.h"

struct bare {
    const struct codec *codec;
    void *compressor, *decompressor;
    void *memory[2];
    unsigned char *object; /* PAGE_BYTES */
};

/* -ENOMEM. */
int bare_open(struct bare *bare, struct codec_choice choice);
void bare_close(struct bare *bare);

/* The length of the object now in bare->object; 0 for an incompressible page. */
uint32_t bare_compress(struct bare *bare, const void *page);

/* The page of an object; LENGTH of PAGE_BYTES is a raw page, which is copied. */
int bare_decompress(struct bare *bare, const void *object, uint32_t length, void *page);

#endif
