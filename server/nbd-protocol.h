/* nbd-protocol.h - the numbers and layouts of NBD
 *
 * Owns:    nothing.
 * Called:  by any thread.
 * Locks:   none.
 * Never:   touches a socket or knows a connection.
 *
 * The source of all of it is "The NBD protocol", doc/proto.md of github.com/NetworkBlockDevice/nbd,
 * whose names are kept without their NBD_ where that is clear.  All integers are big-endian.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_NBD_PROTOCOL_H
#define ZSLOT_NBD_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* -- Negotiation. -- */

#define NBD_MAGIC UINT64_C(0x4e42444d41474943)        /* NBDMAGIC */
#define NBD_OPTION_MAGIC UINT64_C(0x49484156454f5054) /* IHAVEOPT */
#define NBD_REPLY_MAGIC UINT64_C(0x3e889045565a9)

enum { NBD_FLAG_FIXED_NEWSTYLE = 1 << 0, NBD_FLAG_NO_ZEROES = 1 << 1 };

enum nbd_option {
    NBD_OPT_EXPORT_NAME = 1,
    NBD_OPT_ABORT = 2,
    NBD_OPT_LIST = 3,
    NBD_OPT_STARTTLS = 5,
    NBD_OPT_INFO = 6,
    NBD_OPT_GO = 7,
    NBD_OPT_STRUCTURED_REPLY = 8,
    NBD_OPT_LIST_META_CONTEXT = 9,
    NBD_OPT_SET_META_CONTEXT = 10,
};

#define NBD_REP_ERROR(n) (UINT32_C(1) << 31 | (n))
enum nbd_reply {
    NBD_REP_ACK = 1,
    NBD_REP_SERVER = 2,
    NBD_REP_INFO = 3,
    NBD_REP_META_CONTEXT = 4,
};
#define NBD_REP_ERR_UNSUP NBD_REP_ERROR(1)
#define NBD_REP_ERR_INVALID NBD_REP_ERROR(3)
#define NBD_REP_ERR_TLS_REQD NBD_REP_ERROR(5)
#define NBD_REP_ERR_UNKNOWN NBD_REP_ERROR(6)
#define NBD_REP_ERR_TOO_BIG NBD_REP_ERROR(9)

enum nbd_info {
    NBD_INFO_EXPORT = 0,
    NBD_INFO_NAME = 1,
    NBD_INFO_DESCRIPTION = 2,
    NBD_INFO_BLOCK_SIZE = 3,
    NBD_INFO_COUNT
};

/* Transmission flags of an export. */
enum {
    NBD_FLAG_HAS_FLAGS = 1 << 0,
    NBD_FLAG_SEND_FLUSH = 1 << 2,
    NBD_FLAG_SEND_FUA = 1 << 3,
    NBD_FLAG_SEND_TRIM = 1 << 5,
    NBD_FLAG_SEND_WRITE_ZEROES = 1 << 6,
    NBD_FLAG_SEND_DF = 1 << 7,
    NBD_FLAG_CAN_MULTI_CONN = 1 << 8,
    NBD_FLAG_SEND_CACHE = 1 << 10,
    NBD_FLAG_SEND_FAST_ZERO = 1 << 11,
};

#define NBD_OPTION_HEADER_BYTES 16u       /* magic, option, length */
#define NBD_OPTION_REPLY_HEADER_BYTES 20u /* magic, option, reply, length */
#define NBD_STRING_BYTES_MAX 4096u        /* of any name */

/* -- Transmission. -- */

#define NBD_REQUEST_MAGIC UINT32_C(0x25609513)
#define NBD_SIMPLE_REPLY_MAGIC UINT32_C(0x67446698)
#define NBD_STRUCTURED_REPLY_MAGIC UINT32_C(0x668e33ef)

enum nbd_command {
    NBD_CMD_READ = 0,
    NBD_CMD_WRITE = 1,
    NBD_CMD_DISC = 2,
    NBD_CMD_FLUSH = 3,
    NBD_CMD_TRIM = 4,
    NBD_CMD_CACHE = 5,
    NBD_CMD_WRITE_ZEROES = 6,
    NBD_CMD_BLOCK_STATUS = 7,
};

enum {
    NBD_CMD_FLAG_FUA = 1 << 0,
    NBD_CMD_FLAG_NO_HOLE = 1 << 1,
    NBD_CMD_FLAG_DF = 1 << 2,
    NBD_CMD_FLAG_REQ_ONE = 1 << 3,
    NBD_CMD_FLAG_FAST_ZERO = 1 << 4,
};

enum { NBD_REPLY_FLAG_DONE = 1 << 0 };
enum nbd_chunk {
    NBD_REPLY_TYPE_OFFSET_DATA = 1,
    NBD_REPLY_TYPE_BLOCK_STATUS = 5,
    NBD_REPLY_TYPE_ERROR = (1 << 15) + 1,
};

/* Of base:allocation. */
enum { NBD_STATE_HOLE = 1 << 0, NBD_STATE_ZERO = 1 << 1 };

#define NBD_REQUEST_BYTES 28u
#define NBD_SIMPLE_REPLY_BYTES 16u
#define NBD_CHUNK_HEADER_BYTES 20u

struct nbd_request {
    uint16_t flags, type;
    uint64_t cookie; /* the client's name for it, in the answer too */
    uint64_t offset;
    uint32_t bytes;
};

/* False: BYTES do not begin with the magic number of a request. */
bool nbd_decode_request(const uint8_t bytes[NBD_REQUEST_BYTES],
                        struct nbd_request *request);

/* Each returns how many bytes it made. */
size_t nbd_encode_simple_reply(uint8_t *out, uint64_t cookie, uint32_t error);
size_t nbd_encode_chunk(uint8_t *out, uint64_t cookie, uint16_t flags, uint16_t type,
                        uint32_t bytes);
size_t nbd_encode_option_reply(uint8_t *out, uint32_t option, uint32_t reply,
                               uint32_t bytes);

/* What a client is told for 0 or a negative errno. */
uint32_t nbd_error(int r);

/* -- Integers at any address. -- */

uint16_t nbd_get16(const uint8_t *from);
uint32_t nbd_get32(const uint8_t *from);
uint64_t nbd_get64(const uint8_t *from);
size_t nbd_put16(uint8_t *to, uint16_t value);
size_t nbd_put32(uint8_t *to, uint32_t value);
size_t nbd_put64(uint8_t *to, uint64_t value);

#endif
