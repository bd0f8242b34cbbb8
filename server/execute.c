/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "execute.h"

#include <errno.h>

#include "connection.h"
#include "export.h"

/* -- What is refused. -- */

static unsigned flags_of(uint16_t type)
{
    switch (type) {
    case NBD_CMD_READ:
        return NBD_CMD_FLAG_DF | NBD_CMD_FLAG_FUA;
    case NBD_CMD_WRITE_ZEROES:
        return NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO;
    case NBD_CMD_BLOCK_STATUS:
        return NBD_CMD_FLAG_REQ_ONE | NBD_CMD_FLAG_FUA;
    default:
        return NBD_CMD_FLAG_FUA; /* of all commands a client may ask it */
    }
}

static bool is_within(const struct nbd_request *nbd, const struct export *export)
{
    return nbd->offset <= export->bytes && nbd->bytes <= export->bytes - nbd->offset;
}

int execute_check(const struct nbd_request *nbd, const struct export *export,
                  bool has_status)
{
    switch (nbd->type) {
    case NBD_CMD_FLUSH:
        return nbd->offset || nbd->bytes || nbd->flags & ~flags_of(nbd->type) ? -EINVAL
                                                                              : 0;
    case NBD_CMD_READ:
    case NBD_CMD_WRITE:
        if (nbd->bytes > REQUEST_BYTES_MAX)
            return -EINVAL;
        break;
    case NBD_CMD_BLOCK_STATUS:
        if (!has_status)
            return -EINVAL;
        break;
    case NBD_CMD_TRIM:
    case NBD_CMD_CACHE:
    case NBD_CMD_WRITE_ZEROES:
        break;
    default:
        return -EINVAL;
    }
    if (nbd->bytes == 0 || nbd->flags & ~flags_of(nbd->type))
        return -EINVAL;
    if (!is_within(nbd, export))
        return nbd->type == NBD_CMD_WRITE || nbd->type == NBD_CMD_WRITE_ZEROES
                   ? -ENOSPC
                   : -EINVAL;
    return 0;
}

/* -- Block status. -- */

struct status {
    const struct nbd_request *nbd;
    uint8_t *out;
    unsigned extents;
};

static int add_extent(void *opaque, uint64_t offset, uint64_t bytes, bool hole)
{
    struct status *status = opaque;
    uint64_t left = status->nbd->offset + status->nbd->bytes - offset;
    uint8_t *out = status->out + 4 + 8 * (size_t)status->extents;

    /* The last one may reach past the range, up to the end of its page. */
    nbd_put32(out, (uint32_t)(bytes < left ? bytes : left));
    nbd_put32(out + 4, hole ? NBD_STATE_HOLE | NBD_STATE_ZERO : 0);
    status->extents++;
    return status->extents == REQUEST_EXTENTS_MAX ||
           status->nbd->flags & NBD_CMD_FLAG_REQ_ONE;
}

static int get_status(const struct nbd_request *nbd, const struct export *export,
                      void *data, uint32_t *bytes)
{
    struct status status = {.nbd = nbd, .out = data};

    int r =
        volume_extents(export->volume, nbd->offset, nbd->bytes, add_extent, &status);
    nbd_put32(status.out, 1); /* the context's id */
    *bytes = 4 + 8 * status.extents;
    return r;
}

/* -- Doing it. -- */

static int write_now(const struct nbd_request *nbd, const struct export *export,
                     const uint8_t *data, uint32_t *bytes)
{
    uint64_t done;
    int r = volume_try_write(export->volume, nbd->offset + *bytes, nbd->bytes - *bytes,
                             data + *bytes, &done);

    *bytes += (uint32_t)done;
    return r;
}

static bool is_whole_pages(const struct nbd_request *nbd)
{
    return nbd->offset % VOLUME_PAGE_BYTES == 0 && nbd->bytes % VOLUME_PAGE_BYTES == 0;
}

int execute_now(const struct nbd_request *nbd, const struct export *export, void *data,
                uint32_t *bytes)
{
    struct volume *volume = export->volume;

    switch (nbd->type) {
    case NBD_CMD_READ:
        return volume_try_read(volume, nbd->offset, nbd->bytes, data);
    case NBD_CMD_WRITE:
        return write_now(nbd, export, data, bytes);
    case NBD_CMD_FLUSH:
        return volume_flush(volume);
    case NBD_CMD_TRIM:
        return nbd->bytes > REQUEST_INLINE_TRIM_BYTES
                   ? -EAGAIN
                   : volume_trim(volume, nbd->offset, nbd->bytes);
    case NBD_CMD_WRITE_ZEROES:
        /* The ends of others are merged, which may wait. */
        return nbd->bytes > REQUEST_INLINE_TRIM_BYTES || !is_whole_pages(nbd)
                   ? -EAGAIN
                   : volume_zero(volume, nbd->offset, nbd->bytes);
    case NBD_CMD_BLOCK_STATUS:
        return nbd->bytes > REQUEST_INLINE_STATUS_BYTES
                   ? -EAGAIN
                   : get_status(nbd, export, data, bytes);
    default:
        return -EAGAIN; /* CACHE: it fetches */
    }
}

static bool is_wanted(void *opaque)
{
    return connection_is_there(opaque);
}

static int execute_part(const struct request *request, struct volume *volume,
                        uint64_t offset, uint64_t bytes)
{
    switch (request->nbd.type) {
    case NBD_CMD_READ:
        return volume_read(volume, offset, bytes,
                           request->data + (offset - request->nbd.offset));
    case NBD_CMD_TRIM:
        return volume_trim(volume, offset, bytes);
    case NBD_CMD_WRITE_ZEROES:
        return volume_zero(volume, offset, bytes);
    default:
        return volume_cache(volume, offset, bytes);
    }
}

/* In parts that end at multiples of PART_BYTES; before each it is looked whether the client is there. */
static int execute_parts(const struct request *request, struct volume *volume,
                         uint32_t part_bytes)
{
    uint64_t at = request->nbd.offset, end = at + request->nbd.bytes;
    int r = 0;

    while (r == 0 && at < end) {
        uint64_t next = (at / part_bytes + 1) * part_bytes;

        if (next > end)
            next = end;
        r = connection_is_there(request->connection)
                ? execute_part(request, volume, at, next - at)
                : -ECANCELED;
        at = next;
    }
    return r;
}

static int execute(struct request *request)
{
    const struct nbd_request *nbd = &request->nbd;
    const struct export *export = connection_export(request->connection);
    struct volume *volume = export->volume;

    switch (nbd->type) {
    case NBD_CMD_READ:
    case NBD_CMD_CACHE:
        return execute_parts(request, volume, REQUEST_FETCH_PART_BYTES);
    case NBD_CMD_TRIM:
    case NBD_CMD_WRITE_ZEROES:
        return execute_parts(request, volume, REQUEST_INLINE_TRIM_BYTES);
    case NBD_CMD_WRITE:
        return volume_write_while(
            volume, nbd->offset + request->done_bytes, nbd->bytes - request->done_bytes,
            request->data + request->done_bytes, is_wanted, request->connection);
    default:
        return get_status(nbd, export, request->data, &request->answer_bytes);
    }
}

void execute_and_wait(struct request *request)
{
    request->answer_bytes = request->nbd.type == NBD_CMD_READ ? request->nbd.bytes : 0;
    /* Also what has waited long for a worker is not done for a client that has gone. */
    request->result =
        connection_is_there(request->connection) ? execute(request) : -ECANCELED;
}
