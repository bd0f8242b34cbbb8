/* request.h - a request that is not answered at once, and the bounds of all
 *
 * Owns:    nothing; requests belong to their connection.
 * Called:  by loops and workers.
 * Locks:   none: a request is at one place at a time.
 * Never:   is allocated while serving.
 *
 *   free       on its connection's list
 *   filling    a write whose data has not all come                    the loop's
 *   queued     for a worker (workers.h)
 *   running    with a worker
 *   finished   on its way to its loop (reactor.h), then waits to be sent
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_REQUEST_H
#define ZSLOT_REQUEST_H

#include <stdint.h>

#include "nbd-protocol.h"
#include "volume.h"

#define REQUEST_BYTES_MAX (32u << 20)
#define PREFERRED_BYTES VOLUME_PAGE_BYTES

/* Longer reads and writes go to a worker: the others of a connection do not wait while they are
 * compressed, and processors share the work. */
#define REQUEST_INLINE_BYTES 65536u
/* The same for ranges without data: some 100 us. */
#define REQUEST_INLINE_TRIM_BYTES (4u << 20)
#define REQUEST_INLINE_STATUS_BYTES (64u << 20)

/* So much is fetched for who may have gone. */
#define REQUEST_FETCH_PART_BYTES (1u << 20)

#define REQUEST_EXTENTS_MAX 1024u
#define REQUEST_STATUS_BYTES (4 + 8 * REQUEST_EXTENTS_MAX)

/* The most that stands before data: a chunk's header, and an offset or a context's id. */
#define REQUEST_HEADER_BYTES_MAX (NBD_CHUNK_HEADER_BYTES + 8u)

struct connection;

struct request {
    struct request *next;
    struct connection *connection;
    struct nbd_request nbd;
    uint8_t *data; /* a piece of the connection's arena, or NULL */
    uint32_t data_bytes;
    uint32_t filled_bytes; /* of a write's data */
    uint32_t done_bytes;   /* of a write, already in the volume */
    int result;
    /* The answer: a header, and so much of data. */
    uint32_t header_bytes, answer_bytes;
    uint32_t sent_bytes; /* of both */
    uint8_t header[REQUEST_HEADER_BYTES_MAX];
};

/* First in, first out. */
struct request_queue {
    struct request *first, **end;
};

static inline void request_queue_init(struct request_queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
}

static inline void request_queue_add(struct request_queue *queue,
                                     struct request *request)
{
    request->next = NULL;
    *queue->end = request;
    queue->end = &request->next;
}

static inline struct request *request_queue_take(struct request_queue *queue)
{
    struct request *request = queue->first;

    if (request && !(queue->first = request->next))
        queue->end = &queue->first;
    return request;
}

#endif
