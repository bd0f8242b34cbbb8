/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "segment-format.h"

#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

static const char backing_magic[8] = "zslotbs";
static const char segment_magic[8] = "zslotsg";

void backing_header_make(struct backing_header *header)
{
    memset(header, 0, sizeof *header);
    memcpy(header->magic, backing_magic, sizeof header->magic);
    header->format = BACKING_FORMAT;
    header->segment_bytes = SEGMENT_BYTES;
    /* Not a secret: whatever was there is random enough should this ever fail. */
    (void)!getrandom(header->identity, sizeof header->identity, GRND_NONBLOCK);
    header->checksum = XXH3_64bits(header, offsetof(struct backing_header, checksum));
}

bool backing_header_is_ours(const struct backing_header *header)
{
    return memcmp(header->magic, backing_magic, sizeof header->magic) == 0 &&
           header->checksum ==
               XXH3_64bits(header, offsetof(struct backing_header, checksum));
}

static uint64_t object_checksum(const struct object_header *header)
{
    uint64_t seed;

    memcpy(&seed, header, sizeof seed);
    return XXH3_64bits_withSeed(header + 1, header->length, seed);
}

void object_header_make(uint32_t slot, uint8_t codec, uint16_t length,
                        const void *object, struct object_header *header)
{
    uint64_t seed;

    *header = (struct object_header){.slot = slot, .length = length, .codec = codec};
    memcpy(&seed, header, sizeof seed);
    header->checksum = XXH3_64bits_withSeed(object, length, seed);
}

bool object_header_holds(const struct object_header *header, uint32_t slot,
                         uint8_t codec, uint16_t length)
{
    return header->slot == slot && header->codec == codec && header->length == length &&
           header->unused == 0 && header->checksum == object_checksum(header);
}

void segment_header_make(const unsigned char identity[16], uint64_t sequence,
                         uint32_t bytes, uint32_t objects,
                         struct segment_header *header)
{
    memset(header, 0, sizeof *header);
    memcpy(header->magic, segment_magic, sizeof header->magic);
    memcpy(header->identity, identity, sizeof header->identity);
    header->sequence = sequence;
    header->bytes = bytes;
    header->objects = objects;
    header->checksum = XXH3_64bits(header, offsetof(struct segment_header, checksum));
}

bool segment_header_holds(const struct segment_header *header,
                          const unsigned char identity[16])
{
    return memcmp(header->magic, segment_magic, sizeof header->magic) == 0 &&
           memcmp(header->identity, identity, sizeof header->identity) == 0 &&
           header->bytes >= sizeof *header && header->bytes <= SEGMENT_BYTES &&
           header->checksum ==
               XXH3_64bits(header, offsetof(struct segment_header, checksum));
}
