/* block-format.h - what is written to the backing store
 *
 * Owns:    the format; no memory.
 * Called:  by any thread.
 * Locks:   none.
 * Never:   does I/O.
 *
 * The backing store is cut into blocks of BLOCK_BYTES.  Block 0 has the header of the
 * store and nothing else.  Each of the others has either
 *
 *   object header, 16 bytes; object; padding to 8      for each object
 *   zeroes to the end of the block
 *
 * or one raw page, and nothing else.  No object crosses from one block into the next: a
 * fetch reads one block, and a block is free as soon as its few objects are dead.  A
 * block is always written whole.
 *
 * An address is the number of a block, and 32 bits more: the offset in it of an object's
 * header, in units of 8 bytes, and 23 bits of its checksum; of a raw page, which leaves no
 * room for a header, the checksum.  What is read back is believed only if the checksum holds
 * for the slot that asked (rule S11) and for this store, and is the one in the address: what
 * an earlier store left in a block is not taken for this one's, nor an earlier object of the
 * same slot for the one that took its place, when a write is lost or comes late.  Numbers are
 * in the byte order of the machine: a backing store does not travel.  Checksums are
 * XXH3 64 (xxhash 0.8: the format is fixed), of a raw page the lower half.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BLOCK_FORMAT_H
#define ZSLOT_BLOCK_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backing.h"

#define BLOCK_BYTES BACKING_ALIGN
#define BACKING_BYTES_MIN (1024 * BLOCK_BYTES)
#define BACKING_FORMAT 1

struct backing_header {
    char magic[8];
    uint32_t format;
    uint32_t block_bytes;
    unsigned char identity[BACKING_IDENTITY_BYTES]; /* random, made with the header */
    uint64_t checksum;                              /* of all before it */
};

struct object_header {
    uint32_t slot;
    uint16_t length; /* 0: no more objects in this block */
    uint8_t codec;
    uint8_t unused;
    uint64_t checksum; /* of the object, seeded with the fields above and the store */
};

_Static_assert(sizeof(struct object_header) == 16, "format");

typedef struct {
    uint64_t value;
} address_t;

#define ADDRESS_OFFSET_BITS 9

/* Of an object whose header is at OFFSET. */
static inline address_t address_make(uint32_t block, uint32_t offset, uint64_t checksum)
{
    return (address_t){(uint64_t)block << 32 |
                       (uint32_t)(checksum >> 32) >> ADDRESS_OFFSET_BITS
                                                         << ADDRESS_OFFSET_BITS |
                       offset / 8};
}

static inline address_t address_of_raw_page(uint32_t block, uint32_t checksum)
{
    return (address_t){(uint64_t)block << 32 | checksum};
}

static inline uint32_t address_block(address_t address)
{
    return (uint32_t)(address.value >> 32);
}

/* Of an object's header within its block. */
static inline uint32_t address_offset(address_t address)
{
    return ((uint32_t)address.value & ((1u << ADDRESS_OFFSET_BITS) - 1)) * 8;
}

/* Of a raw page. */
static inline uint32_t address_checksum(address_t address)
{
    return (uint32_t)address.value;
}

/* Bytes that an object of LENGTH takes in a block; a raw page takes all of it. */
static inline uint32_t block_object_bytes(uint32_t length)
{
    return length == BLOCK_BYTES
               ? BLOCK_BYTES
               : (uint32_t)sizeof(struct object_header) + (length + 7) / 8 * 8;
}

/* IDENTITY is the store's; NULL: a new one. */
void backing_header_make(struct backing_header *header, const unsigned char *identity);
bool backing_header_is_ours(const struct backing_header *header);

/* What tells this store's objects from another's. */
uint64_t backing_seed(const unsigned char *identity);

/* Sees whether the BYTES at the beginning of BACKING are a header, and notes whose. */
void backing_note_start(struct backing *backing, const void *start, size_t bytes);

void object_header_make(uint64_t seed, uint32_t slot, uint8_t codec, uint16_t length,
                        const void *object, struct object_header *header);

/* Whether HEADER and the object behind it are those of SLOT, and whole. */
bool object_header_holds(uint64_t seed, const struct object_header *header,
                         uint32_t slot, uint8_t codec, uint16_t length);

uint32_t raw_page_checksum(uint64_t seed, uint32_t slot, const void *page);

#endif
