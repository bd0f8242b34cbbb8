/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "block-format.h"

#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

static const char backing_magic[8] = "zslotbs";

void backing_header_make(struct backing_header *header, const unsigned char *identity)
{
    memset(header, 0, sizeof *header);
    memcpy(header->magic, backing_magic, sizeof header->magic);
    header->format = BACKING_FORMAT;
    header->block_bytes = BLOCK_BYTES;
    /* Not a secret: whatever was there is random enough should this ever fail. */
    if (identity)
        memcpy(header->identity, identity, sizeof header->identity);
    else
        (void)!getrandom(header->identity, sizeof header->identity, GRND_NONBLOCK);
    header->checksum = XXH3_64bits(header, offsetof(struct backing_header, checksum));
}

bool backing_header_is_ours(const struct backing_header *header)
{
    return memcmp(header->magic, backing_magic, sizeof header->magic) == 0 &&
           header->format == BACKING_FORMAT && header->block_bytes == BLOCK_BYTES &&
           header->checksum ==
               XXH3_64bits(header, offsetof(struct backing_header, checksum));
}

uint64_t backing_seed(const unsigned char *identity)
{
    return XXH3_64bits(identity, BACKING_IDENTITY_BYTES);
}

void backing_note_start(struct backing *backing, const void *start, size_t bytes)
{
    struct backing_header header;

    if (bytes < sizeof header)
        return;
    memcpy(&header, start, sizeof header);
    backing->has_identity = backing_header_is_ours(&header);
    if (backing->has_identity)
        memcpy(backing->identity, header.identity, sizeof backing->identity);
}

static uint64_t object_checksum(uint64_t seed, const struct object_header *header,
                                const void *object)
{
    uint64_t fields;

    memcpy(&fields, header, sizeof fields);
    return XXH3_64bits_withSeed(object, header->length, seed ^ fields);
}

void object_header_make(uint64_t seed, uint32_t slot, uint8_t codec, uint16_t length,
                        const void *object, struct object_header *header)
{
    *header = (struct object_header){.slot = slot, .length = length, .codec = codec};
    header->checksum = object_checksum(seed, header, object);
}

bool object_header_holds(uint64_t seed, const struct object_header *header,
                         uint32_t slot, uint8_t codec, uint16_t length)
{
    return header->slot == slot && header->codec == codec && header->length == length &&
           header->unused == 0 &&
           header->checksum == object_checksum(seed, header, header + 1);
}

uint32_t raw_page_checksum(uint64_t seed, uint32_t slot, const void *page)
{
    return (uint32_t)XXH3_64bits_withSeed(page, BLOCK_BYTES, seed ^ slot);
}
