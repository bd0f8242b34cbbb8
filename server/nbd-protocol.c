/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "nbd-protocol.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

uint16_t nbd_get16(const uint8_t *from)
{
    uint16_t value;

    memcpy(&value, from, sizeof value);
    return be16toh(value);
}

uint32_t nbd_get32(const uint8_t *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof value);
    return be32toh(value);
}

uint64_t nbd_get64(const uint8_t *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof value);
    return be64toh(value);
}

size_t nbd_put16(uint8_t *to, uint16_t value)
{
    value = htobe16(value);
    memcpy(to, &value, sizeof value);
    return sizeof value;
}

size_t nbd_put32(uint8_t *to, uint32_t value)
{
    value = htobe32(value);
    memcpy(to, &value, sizeof value);
    return sizeof value;
}

size_t nbd_put64(uint8_t *to, uint64_t value)
{
    value = htobe64(value);
    memcpy(to, &value, sizeof value);
    return sizeof value;
}

bool nbd_decode_request(const uint8_t bytes[NBD_REQUEST_BYTES],
                        struct nbd_request *request)
{
    if (nbd_get32(bytes) != NBD_REQUEST_MAGIC)
        return false;
    *request = (struct nbd_request){
        .flags = nbd_get16(bytes + 4),
        .type = nbd_get16(bytes + 6),
        .cookie = nbd_get64(bytes + 8),
        .offset = nbd_get64(bytes + 16),
        .bytes = nbd_get32(bytes + 24),
    };
    return true;
}

size_t nbd_encode_simple_reply(uint8_t *out, uint64_t cookie, uint32_t error)
{
    nbd_put32(out, NBD_SIMPLE_REPLY_MAGIC);
    nbd_put32(out + 4, error);
    nbd_put64(out + 8, cookie);
    return NBD_SIMPLE_REPLY_BYTES;
}

size_t nbd_encode_chunk(uint8_t *out, uint64_t cookie, uint16_t flags, uint16_t type,
                        uint32_t bytes)
{
    nbd_put32(out, NBD_STRUCTURED_REPLY_MAGIC);
    nbd_put16(out + 4, flags);
    nbd_put16(out + 6, type);
    nbd_put64(out + 8, cookie);
    nbd_put32(out + 16, bytes);
    return NBD_CHUNK_HEADER_BYTES;
}

size_t nbd_encode_option_reply(uint8_t *out, uint32_t option, uint32_t reply,
                               uint32_t bytes)
{
    nbd_put64(out, NBD_REPLY_MAGIC);
    nbd_put32(out + 8, option);
    nbd_put32(out + 12, reply);
    nbd_put32(out + 16, bytes);
    return NBD_OPTION_REPLY_HEADER_BYTES;
}

uint32_t nbd_error(int r)
{
    switch (-r) {
    case 0:
        return 0;
    case EPERM:
        return 1;
    case EIO:
        return 5;
    case ENOMEM:
        return 12;
    case ENOSPC:
        return 28;
    case EOVERFLOW:
        return 75;
    case ENOTSUP:
        return 95;
    case ESHUTDOWN:
        return 108;
    default:
        return 22; /* EINVAL */
    }
}
