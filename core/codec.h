/* codec.h - the table of codecs, for one page at a time
 *
 * Owns:    nothing; contexts are memory that the caller gives.
 * Called:  by any thread, each with contexts of its own.
 * Locks:   none.
 * Never:   allocates, or writes past the room it was given, whatever the page's bytes
 *          do meanwhile.
 *
 * The codec of each object is recorded in its slot, so the codec in use can change, and
 * pages can differ in it.  The level is not recorded: objects of all levels are read
 * alike.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_CODEC_H
#define ZSLOT_CODEC_H

#include <stddef.h>
#include <stdint.h>

/* In slots, and so in memory that outlives us: never renumbered.  At most 16. */
enum codec_id {
    CODEC_NONE = 0, /* pages are kept raw */
    CODEC_LZ4 = 1,
    CODEC_ZSTD = 2,
    CODEC_COUNT
};

struct codec {
    const char *name;
    /* Levels from least to most, all 0 when the codec has none. */
    int level_min, level_max, level_default;
    const char *summary; /* for people */

    /* The memory that a context needs, in bytes, and how to make one in it (aligned to
     * 64). */
    size_t (*compressor_bytes)(int level);
    void *(*compressor_init)(void *memory, size_t bytes, int level); /* NULL: cannot */
    size_t (*decompressor_bytes)(void);
    void *(*decompressor_init)(void *memory, size_t bytes);

    /* Compresses the page into at most ROOM bytes at OUT.  Returns the object's length,
     * or 0 when it would be longer: the page is incompressible.  PAGE does not change
     * meanwhile; if it did, the room would still not be overrun (rule S8). */
    uint32_t (*compress)(void *compressor, const void *page, uint32_t room, void *out);

    /* The page of an object.  -EIO when the object is not one. */
    int (*decompress)(void *decompressor, const void *object, uint32_t length,
                      void *page);
};

extern const struct codec codec_none, codec_lz4, codec_zstd;

/* By enum codec_id. */
extern const struct codec *const codecs[CODEC_COUNT];

/* A codec and how hard it should try. */
struct codec_choice {
    enum codec_id id;
    int level;
    unsigned also_read; /* a bit per codec that objects may be of, besides */
};

#endif
