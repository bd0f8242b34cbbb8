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
 * or one raw page, and nothing else.  A block is always written whole, and free as soon as
 * its few objects are dead.
 *
 * An object for which its block has no room can be split: its head ends with the block, and
 * the rest stands first in another one that is not far behind it, after a header of its own.
 * That is for objects of like lengths, of which a block would hold one or two and half of it
 * nothing.  A fetch of such an object reads two blocks, any other one.
 *
 * An address is the number of a block, and 32 bits more: the offset in it of an object's
 * header, in units of 8 bytes, and 23 bits of its checksum, of which a split object gives 7
 * for how far away its rest is; of a raw page, which leaves no room for a header, the
 * checksum.  What is read back is believed only if the checksum holds
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
#define BACKING_FORMAT 2

/* Of a store from before: the checksum of a split object's head is of the head alone, and that of the rest is seeded
 * with it.  Such a store is gone on with as it is. */
#define BACKING_FORMAT_HEADS_FIRST 1

struct backing_header {
    char magic[8];
    uint32_t format;
    uint32_t block_bytes;
    unsigned char identity[BACKING_IDENTITY_BYTES]; /* random, made with the header */
    uint64_t checksum;                              /* of all before it */
};

struct object_header {
    uint32_t slot;
    uint16_t
        length; /* of the object, or of this rest; 0: no more objects in this block */
    uint8_t codec;
    uint8_t is_rest;
    /* Of the object, or of its head, or of its rest; seeded with the fields above and the
     * store, and of a head also with its rest's checksum: so it is one of all of the object, as are
     * the bits of it in the address. */
    uint64_t checksum;
};

_Static_assert(sizeof(struct object_header) == 16, "format");

typedef struct {
    uint64_t value;
} address_t;

#define ADDRESS_OFFSET_BITS 9

/* Of a split object also how far away its rest is, 1 to SPLIT_AWAY_MAX. */
#define ADDRESS_AWAY_BITS 7
#define ADDRESS_SPLIT_BITS (ADDRESS_OFFSET_BITS + ADDRESS_AWAY_BITS)
#define SPLIT_AWAY_MAX (1u << ADDRESS_AWAY_BITS)

/* As many bits of a checksum as LOW_BITS leave. */
static inline uint32_t address_checksum_bits(uint64_t checksum, unsigned low_bits)
{
    return (uint32_t)(checksum >> 32) >> low_bits << low_bits;
}

/* Of an object whose header is at OFFSET. */
static inline address_t address_make(uint32_t block, uint32_t offset, uint64_t checksum)
{
    return (address_t){(uint64_t)block << 32 |
                       address_checksum_bits(checksum, ADDRESS_OFFSET_BITS) |
                       offset / 8};
}

/* Of one that goes on in REST_BLOCK. */
static inline address_t address_make_split(uint32_t block, uint32_t rest_block,
                                           uint32_t offset, uint64_t checksum)
{
    return (address_t){(uint64_t)block << 32 |
                       address_checksum_bits(checksum, ADDRESS_SPLIT_BITS) |
                       (rest_block - block - 1) << ADDRESS_OFFSET_BITS | offset / 8};
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

/* -- Split objects. -- */

/* How an object lies in the block where it begins, and in the one that has its rest. */
struct object_parts {
    uint32_t head_length;       /* of the object's bytes, behind its header */
    uint32_t bytes, rest_bytes; /* taken in the two blocks, headers included */
};

/* Of an object of LENGTH, no raw page, with its header at OFFSET. */
static inline struct object_parts object_parts_at(uint32_t offset, uint32_t length)
{
    uint32_t bytes = block_object_bytes(length);

    if (offset + bytes <= BLOCK_BYTES)
        return (struct object_parts){length, bytes, 0};
    uint32_t head_length =
        BLOCK_BYTES - offset - (uint32_t)sizeof(struct object_header);
    return (struct object_parts){head_length, BLOCK_BYTES - offset,
                                 block_object_bytes(length - head_length)};
}

/* What a slot refers to, of any kind: in which blocks it is, and how much of them it takes. */
struct object_place {
    uint32_t block, bytes;
    uint32_t rest_block, rest_bytes; /* 0: it is not split */
};

static inline struct object_place address_place(address_t address, uint32_t length)
{
    uint32_t block = address_block(address);
    uint32_t away = (uint32_t)address.value >> ADDRESS_OFFSET_BITS;

    if (length == BLOCK_BYTES)
        return (struct object_place){block, BLOCK_BYTES, 0, 0};
    struct object_parts parts = object_parts_at(address_offset(address), length);
    if (parts.rest_bytes == 0)
        return (struct object_place){block, parts.bytes, 0, 0};
    return (struct object_place){block, parts.bytes, block + 1 + away % SPLIT_AWAY_MAX,
                                 parts.rest_bytes};
}

/* Whether CHECKSUM, of an object with a header, is the one that is in ADDRESS. */
static inline bool address_has_checksum(address_t address, uint32_t length,
                                        uint64_t checksum)
{
    unsigned low_bits = address_place(address, length).rest_bytes > 0
                            ? ADDRESS_SPLIT_BITS
                            : ADDRESS_OFFSET_BITS;

    return (uint32_t)address.value >> low_bits ==
           address_checksum_bits(checksum, low_bits) >> low_bits;
}

/* IDENTITY is the store's; NULL: a new one. */
void backing_header_make(struct backing_header *header, const unsigned char *identity);
bool backing_header_is_ours(const struct backing_header *header);

/* The format of a later zslot's store that begins with BYTES at START, of whose header only that and
 * the magic are as here; 0: it is none. */
uint32_t backing_later_format(const void *start, size_t bytes);

/* What tells a store's objects from another's, and how their checksums are made. */
struct seal {
    uint64_t seed;
    uint32_t format;
};

struct seal backing_seal(const unsigned char *identity, uint32_t format);

/* Sees whether the BYTES at the beginning of BACKING are a header, and notes whose. */
void backing_note_start(struct backing *backing, const void *start, size_t bytes);

/* An object in memory. */
struct object_view {
    char *block, *rest; /* where the blocks begin; no rest if it is not split */
    uint32_t offset;    /* of its header in the first one */
};

/* Makes the headers of an object whose bytes are in place. */
void object_headers_make(struct seal seal, uint32_t slot, uint8_t codec,
                         uint16_t length, struct object_view view);

/* Whether it is the object of SLOT, and whole. */
bool object_holds(struct seal seal, uint32_t slot, uint8_t codec, uint16_t length,
                  struct object_view view);

/* Its bytes: where they are, or if it is split, joined at TO, which may be where they begin. */
const void *object_join(uint16_t length, struct object_view view, void *to);

uint32_t raw_page_checksum(struct seal seal, uint32_t slot, const void *page);

#endif
