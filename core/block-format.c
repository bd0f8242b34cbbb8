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
           (header->format == BACKING_FORMAT ||
            header->format == BACKING_FORMAT_HEADS_FIRST) &&
           header->block_bytes == BLOCK_BYTES &&
           header->checksum ==
               XXH3_64bits(header, offsetof(struct backing_header, checksum));
}

uint32_t backing_later_format(const void *start, size_t bytes)
{
    struct backing_header header;

    if (bytes < sizeof header)
        return 0;
    memcpy(&header, start, sizeof header);
    return memcmp(header.magic, backing_magic, sizeof header.magic) == 0 &&
                   header.format > BACKING_FORMAT
               ? header.format
               : 0;
}

struct seal backing_seal(const unsigned char *identity, uint32_t format)
{
    return (struct seal){XXH3_64bits(identity, BACKING_IDENTITY_BYTES), format};
}

void backing_note_start(struct backing *backing, const void *start, size_t bytes)
{
    struct backing_header header;

    if (bytes < sizeof header)
        return;
    memcpy(&header, start, sizeof header);
    backing->has_identity = backing_header_is_ours(&header);
    if (!backing->has_identity)
        return;
    memcpy(backing->identity, header.identity, sizeof backing->identity);
    backing->format = header.format;
}

/* Of the LENGTH bytes behind HEADER. */
static uint64_t part_checksum(uint64_t seed, const struct object_header *header,
                              uint32_t length)
{
    uint64_t fields;

    memcpy(&fields, header, sizeof fields);
    return XXH3_64bits_withSeed(header + 1, length, seed ^ fields);
}

static bool part_holds(uint64_t seed, const struct object_header *header,
                       struct object_header expected, uint32_t length)
{
    return header->slot == expected.slot && header->length == expected.length &&
           header->codec == expected.codec && header->is_rest == expected.is_rest &&
           header->checksum == part_checksum(seed, header, length);
}

static struct object_header *head_of(struct object_view view)
{
    return (struct object_header *)(view.block + view.offset);
}

static struct object_header rest_header(const struct object_header *head,
                                        uint16_t rest_length)
{
    return (struct object_header){
        .slot = head->slot, .length = rest_length, .codec = head->codec, .is_rest = 1};
}

void object_headers_make(struct seal seal, uint32_t slot, uint8_t codec,
                         uint16_t length, struct object_view view)
{
    const bool heads_first = seal.format == BACKING_FORMAT_HEADS_FIRST;
    struct object_parts parts = object_parts_at(view.offset, length);
    struct object_header *head = head_of(view);
    uint64_t head_seed = seal.seed, rest_seed = seal.seed;

    *head = (struct object_header){.slot = slot, .length = length, .codec = codec};
    if (heads_first || parts.rest_bytes == 0)
        head->checksum = part_checksum(head_seed, head, parts.head_length);
    if (parts.rest_bytes == 0)
        return;
    struct object_header *rest = (struct object_header *)view.rest;
    uint16_t rest_length = (uint16_t)(length - parts.head_length);

    *rest = rest_header(head, rest_length);
    if (heads_first)
        rest_seed ^= head->checksum;
    rest->checksum = part_checksum(rest_seed, rest, rest_length);
    if (!heads_first)
        head->checksum =
            part_checksum(head_seed ^ rest->checksum, head, parts.head_length);
}

bool object_holds(struct seal seal, uint32_t slot, uint8_t codec, uint16_t length,
                  struct object_view view)
{
    const bool heads_first = seal.format == BACKING_FORMAT_HEADS_FIRST;
    struct object_parts parts = object_parts_at(view.offset, length);
    const struct object_header *head = head_of(view);
    struct object_header expected = {.slot = slot, .length = length, .codec = codec};
    uint64_t head_seed = seal.seed, rest_seed = seal.seed;

    if (parts.rest_bytes > 0) {
        const struct object_header *rest = (struct object_header *)view.rest;
        uint16_t rest_length = (uint16_t)(length - parts.head_length);

        if (heads_first)
            rest_seed ^= head->checksum;
        else
            head_seed ^= rest->checksum;
        if (!part_holds(rest_seed, rest, rest_header(&expected, rest_length),
                        rest_length))
            return false;
    }
    return part_holds(head_seed, head, expected, parts.head_length);
}

const void *object_join(uint16_t length, struct object_view view, void *to)
{
    uint32_t head_length = object_parts_at(view.offset, length).head_length;
    const struct object_header *head = head_of(view);

    if (head_length == length)
        return head + 1;
    memmove(to, head + 1, head_length);
    memmove((char *)to + head_length, view.rest + sizeof *head, length - head_length);
    return to;
}

uint32_t raw_page_checksum(struct seal seal, uint32_t slot, const void *page)
{
    return (uint32_t)XXH3_64bits_withSeed(page, BLOCK_BYTES, seal.seed ^ slot);
}
