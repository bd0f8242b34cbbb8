/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "transmit.h"

#include <errno.h>
#include <string.h>

#include "execute.h"
#include "output.h"
#include "reactor.h"
#include "workers.h"

/* -- Answers. -- */

/* What stands before BYTES of data, of a read or a block status; or an error. */
static uint32_t put_header(struct connection *connection, const struct nbd_request *nbd,
                           int r, uint32_t bytes, uint8_t *out)
{
    bool structured = connection->negotiation.structured;

    gather_note(&connection->gather);
    connection->loop->answers++;
    if (nbd->type == NBD_CMD_BLOCK_STATUS && r == 0)
        return (uint32_t)nbd_encode_chunk(out, nbd->cookie, NBD_REPLY_FLAG_DONE,
                                          NBD_REPLY_TYPE_BLOCK_STATUS, bytes);
    if (!structured || (nbd->type != NBD_CMD_READ && nbd->type != NBD_CMD_BLOCK_STATUS))
        return (uint32_t)nbd_encode_simple_reply(out, nbd->cookie, nbd_error(r));
    if (r < 0) {
        size_t made = nbd_encode_chunk(out, nbd->cookie, NBD_REPLY_FLAG_DONE,
                                       NBD_REPLY_TYPE_ERROR, 6);

        made += nbd_put32(out + made, nbd_error(r));
        made += nbd_put16(out + made, 0); /* no sentence */
        return (uint32_t)made;
    }
    size_t made = nbd_encode_chunk(out, nbd->cookie, NBD_REPLY_FLAG_DONE,
                                   NBD_REPLY_TYPE_OFFSET_DATA, 8 + bytes);
    made += nbd_put64(out + made, nbd->offset);
    return (uint32_t)made;
}

static uint32_t header_bytes(const struct connection *connection,
                             const struct nbd_request *nbd)
{
    if (nbd->type == NBD_CMD_BLOCK_STATUS)
        return NBD_CHUNK_HEADER_BYTES;
    if (nbd->type == NBD_CMD_READ && connection->negotiation.structured)
        return NBD_CHUNK_HEADER_BYTES + 8;
    return NBD_SIMPLE_REPLY_BYTES;
}

void transmit_answer(struct request *request)
{
    if (request->result < 0)
        request->answer_bytes = 0;
    request->header_bytes =
        put_header(request->connection, &request->nbd, request->result,
                   request->answer_bytes, request->header);
    request->sent_bytes = 0;
}

static enum transmit_result refuse(struct connection *connection,
                                   const struct nbd_request *nbd, int r)
{
    uint8_t *out = output_room(connection, REQUEST_HEADER_BYTES_MAX);
    bool has_data = nbd->type == NBD_CMD_WRITE;

    if (!out)
        return TRANSMIT_STALLED;
    /* Data in such an amount is no request that could be skipped. */
    if (has_data && nbd->bytes > REQUEST_BYTES_MAX)
        return TRANSMIT_BAD;
    connection->out_end += put_header(connection, nbd, r, 0, out);
    connection->in_start += NBD_REQUEST_BYTES;
    if (has_data)
        connection->discard_bytes = nbd->bytes;
    return TRANSMIT_DONE;
}

/* -- Requests. -- */

static uint32_t data_bytes_of(const struct nbd_request *nbd)
{
    switch (nbd->type) {
    case NBD_CMD_READ:
    case NBD_CMD_WRITE:
        return nbd->bytes;
    case NBD_CMD_BLOCK_STATUS:
        return REQUEST_STATUS_BYTES;
    default:
        return 0;
    }
}

/* A request for a worker, with its data as far as it is there. */
static struct request *make_request(struct connection *connection,
                                    const struct nbd_request *nbd)
{
    struct request *request = connection_request(connection, data_bytes_of(nbd));

    if (!request)
        return NULL;
    request->nbd = *nbd;
    request->filled_bytes = request->done_bytes = 0;
    connection->in_start += NBD_REQUEST_BYTES;
    if (nbd->type == NBD_CMD_WRITE) {
        uint32_t there = connection->in_end - connection->in_start;

        if (there > nbd->bytes)
            there = nbd->bytes;
        memcpy(request->data, connection->in + connection->in_start, there);
        connection->in_start += there;
        request->filled_bytes = there;
    }
    return request;
}

static void hand_on(struct connection *connection, struct request *request)
{
    connection->busy++;
    workers_add(reactor_workers(connection->loop), request);
}

void transmit_filled(struct connection *connection)
{
    struct request *request = connection->filling;

    connection->filling = NULL;
    hand_on(connection, request);
}

static enum transmit_result begin_request(struct connection *connection,
                                          const struct nbd_request *nbd)
{
    struct request *request = make_request(connection, nbd);

    if (!request)
        return TRANSMIT_STALLED;
    request->done_bytes = connection->head_done;
    connection->head_done = 0;
    connection->filling = request;
    if (nbd->type != NBD_CMD_WRITE || request->filled_bytes == nbd->bytes)
        transmit_filled(connection);
    return TRANSMIT_DONE;
}

/* On this thread, with the answer's data where it is sent from. */
static enum transmit_result try_now(struct connection *connection,
                                    const struct nbd_request *nbd)
{
    bool is_write = nbd->type == NBD_CMD_WRITE;
    uint32_t header = header_bytes(connection, nbd);
    uint32_t bytes = is_write ? connection->head_done : data_bytes_of(nbd);
    uint8_t *out =
        output_room(connection, REQUEST_HEADER_BYTES_MAX + (is_write ? 0 : bytes));

    if (!out)
        return TRANSMIT_STALLED;
    int r =
        execute_now(nbd, connection_export(connection),
                    is_write ? connection->in + connection->in_start + NBD_REQUEST_BYTES
                             : out + header,
                    &bytes);
    if (r == -EAGAIN) {
        connection->head_done = is_write ? bytes : 0;
        return begin_request(connection, nbd);
    }
    if (is_write || r < 0)
        bytes = 0;
    connection->out_end += put_header(connection, nbd, r, bytes, out) + bytes;
    connection->holds_data |= bytes > 0;
    connection->in_start += NBD_REQUEST_BYTES + (is_write ? nbd->bytes : 0);
    connection->head_done = 0;
    return TRANSMIT_DONE;
}

enum transmit_result transmit_step(struct connection *connection)
{
    uint32_t there = connection->in_end - connection->in_start;
    struct nbd_request nbd;

    if (there < NBD_REQUEST_BYTES)
        return TRANSMIT_MORE;
    if (!nbd_decode_request(connection->in + connection->in_start, &nbd))
        return TRANSMIT_BAD;
    if (nbd.type == NBD_CMD_DISC)
        return TRANSMIT_DISC;

    int r = execute_check(&nbd, connection_export(connection),
                          negotiate_has_allocation(&connection->negotiation));
    if (r < 0)
        return refuse(connection, &nbd, r);
    if (nbd.type != NBD_CMD_READ && nbd.type != NBD_CMD_WRITE)
        return try_now(connection, &nbd);
    if (nbd.bytes > REQUEST_INLINE_BYTES)
        return begin_request(connection, &nbd);
    if (nbd.type == NBD_CMD_WRITE && there - NBD_REQUEST_BYTES < nbd.bytes)
        return TRANSMIT_MORE;
    return try_now(connection, &nbd);
}
