/* nbd-link.h - one connection to the NBD server that is a backing store
 *
 * Owns:    the libnbd handle, and the requests in flight on it.
 * Called:  by the thread of the event loop only.
 * Locks:   none.
 * Never:   calls a done function; never gives an I/O back while libnbd may still touch
 *          its buffer.
 *
 *   DOWN        no handle; there is one again at due_ms
 *   CONNECTING  libnbd connects and negotiates, until due_ms at most
 *   CHECKING    what the export begins with is read, and compared; the same
 *   UP          takes requests
 *
 *   DOWN       --link_expire()-->  CONNECTING
 *   CONNECTING --on_ready()----->  CHECKING     the export is fit
 *   CHECKING   --on_ready()----->  UP           it is the one we knew
 *   any state  --drop()--------->  DOWN
 *
 * Whose it is.  A server that comes back may be another, or have lost what it had: it
 * then must neither be read nor written.  So each connection begins by reading the
 * header of the backing store, which holds a random identity, and compares it with what
 * was read there, or written there by us, last.
 *
 * A lost connection.  Its requests are neither done nor not done.  The handle is closed
 * first, since libnbd refers to the buffers as long as there is one, and then all of
 * them are handed back to be sent again, from their beginning.  This includes those that
 * a server answered with ESHUTDOWN.
 *
 * Memory.  libnbd allocates: a handle and its strings for each connection, some 130
 * bytes for each request.  None of it is under memory-limit or, without --swap, locked in
 * RAM.  It also looks up the server's name while it connects, and waits for that: an
 * address that needs no name server is better.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_NBD_LINK_H
#define ZSLOT_NBD_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "backing.h"

struct event;
struct event_base;
struct nbd_handle;

/* In flight on one connection: so that no read, which is somebody's page fault, waits
 * behind more than a few writes of a segment, and no write for ever. */
#define LINK_READS_MAX 12
#define LINK_OTHERS_MAX 4
#define LINK_REQUESTS_MAX (LINK_READS_MAX + LINK_OTHERS_MAX)

/* What an export says of itself. */
struct link_export {
    uint64_t bytes;
    bool is_read_only, can_trim, can_multi_conn;
    uint32_t minimum_bytes;
    uint32_t piece_bytes; /* the most that one request may carry, aligned; or 0 */
};

/* What all connections to one server share. */
struct link_shared {
    const char *uri;
    uint64_t bytes; /* that the export must have */
    bool is_several;
    unsigned timeout_ms;
    struct event_base *base;

    /* What is at offset 0, as it was seen or has been written; and as it will be when
     * the write there that is under way has landed.  MIXED: there is more than one, or a
     * discard, and nobody can tell. */
    bool start_known, start_mixed;
    unsigned start_writes;
    unsigned char start[BACKING_ALIGN], next_start[BACKING_ALIGN];

    /* IO has its result. */
    void (*finished)(void *opaque, struct backing_io *io, int result);
    /* IO, or the rest of it, must be sent (again). */
    void (*returned)(void *opaque, struct backing_io *io);
    /* The end of an event: something of the above, or a connection that is UP. */
    void (*changed)(void *opaque);
    void *opaque;
};

struct link;

struct link_request {
    struct link *link;
    struct backing_io *io; /* NULL: free */
    uint32_t bytes;        /* of it, in this request */
    uint64_t sent_ms;
    bool is_answered;
    int err;
};

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_CHECKING, LINK_UP };

struct link {
    struct link_shared *shared;
    enum link_state state;
    uint64_t due_ms;
    unsigned backoff_ms;

    struct nbd_handle *handle; /* NULL: DOWN */
    struct event *ready;
    int armed_fd;
    short armed; /* what READY waits for; 0: it is not added */

    struct link_export export;
    unsigned reads, others; /* in flight */
    struct link_request requests[LINK_REQUESTS_MAX];
    struct link_request check;
    unsigned char start[BACKING_ALIGN]; /* what CHECK reads */
};

/* A handle set up as all are; NULL when there is no memory. */
struct nbd_handle *link_handle_new(void);

/* Of a handle that has connected.  -EIO when libnbd does not tell. */
int link_look(struct nbd_handle *handle, struct link_export *export);

int link_open(struct link *link, struct link_shared *shared); /* -ENOMEM */
void link_close(struct link *link); /* nothing may be in flight; fine when not opened */

/* Whether a request of kind OP can be sent now; the lower *LOAD, the better. */
bool link_takes(const struct link *link, enum backing_op op, unsigned *load);

/* Sends what is left of IO, or as much of it as a request may carry. */
void link_send(struct link *link, struct backing_io *io);

/* Does what is due: connects, or gives up a connection that does not come about, or that
 * has not answered in time. */
void link_expire(struct link *link, uint64_t now_ms);

/* Has that connect now which waits before it does. */
void link_hurry(struct link *link);

/* When link_expire() should be called next, at the latest; UINT64_MAX: no need. */
uint64_t link_next_ms(const struct link *link);

#endif
