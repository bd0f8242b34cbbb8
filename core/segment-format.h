/* segment-format.h - what is written to the backing store
 *
 * Owns:    the format; no memory.
 * Called:  by any thread.
 * Locks:   none.
 * Never:   does I/O.
 *
 * The backing store is cut into segments of SEGMENT_BYTES.  The first holds the header
 * of the store and nothing else; each of the others is written in one go:
 *
 *   segment header, 64 bytes
 *   object header, 16 bytes; object; padding to 8      for each object
 *   zeroes to a multiple of BACKING_ALIGN
 *
 * An address is the byte offset of an object's header in the backing store.  What is
 * read back is an object header with its object, and is believed only if the checksum
 * holds for the slot that asked (rule S11).  Numbers are in the byte order of the
 * machine: a backing store does not travel.  Checksums are XXH3 64 (xxhash 0.8: the
 * format is fixed).
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SEGMENT_FORMAT_H
#define ZSLOT_SEGMENT_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "backing.h"

#define SEGMENT_BYTES (256u * 1024)
#define BACKING_BYTES_MIN (16 * SEGMENT_BYTES)
#define BACKING_FORMAT 1

struct backing_header {
    char magic[8];
    uint32_t format;
    uint32_t segment_bytes;
    unsigned char identity[16]; /* random, made with the header */
    uint64_t checksum;          /* of all before it */
};

struct segment_header {
    char magic[8];
    unsigned char identity[16]; /* of the store */
    uint64_t sequence;          /* counts segments written */
    uint32_t bytes;             /* used, this header included */
    uint32_t objects;
    uint64_t checksum; /* of all before it */
    uint64_t unused[2];
};

struct object_header {
    uint32_t slot;
    uint16_t length;
    uint8_t codec;
    uint8_t unused;
    uint64_t checksum; /* of the object, with the fields above as seed */
};

_Static_assert(sizeof(struct segment_header) == 64, "format");
_Static_assert(sizeof(struct object_header) == 16, "format");

/* Bytes that an object of LENGTH takes in a segment. */
static inline uint32_t segment_object_bytes(uint32_t length)
{
    return (uint32_t)sizeof(struct object_header) + (length + 7) / 8 * 8;
}

void backing_header_make(struct backing_header *header);
bool backing_header_is_ours(const struct backing_header *header);

void object_header_make(uint32_t slot, uint8_t codec, uint16_t length,
                        const void *object, struct object_header *header);

/* Whether HEADER and the object behind it are those of SLOT, and whole. */
bool object_header_holds(const struct object_header *header, uint32_t slot,
                         uint8_t codec, uint16_t length);

void segment_header_make(const unsigned char identity[16], uint64_t sequence,
                         uint32_t bytes, uint32_t objects,
                         struct segment_header *header);
bool segment_header_holds(const struct segment_header *header,
                          const unsigned char identity[16]);

#endif
