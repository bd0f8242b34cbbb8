/* connection.h - one client: its socket, its buffers, its requests
 *
 * Owns:    the socket, and all memory for the client, which is made when it connects.
 * Called:  by its loop; connection_is_there() and connection_export() by workers too.
 * Locks:   none.
 * Never:   waits for the client, reads more than it has room for, or allocates while serving.
 *
 *   NEGOTIATING  --the handshake's end-->                        SERVING
 *   NEGOTIATING  --a bad end of it-->                            ENDING
 *   NEGOTIATING  --no end of it in time-->                       GONE
 *   NEGOTIATING  --STARTTLS, and nothing behind it-->            HANDSHAKE
 *   HANDSHAKE    --both sides are known-->                       NEGOTIATING
 *   HANDSHAKE    --they are not, or not in time-->               GONE
 *   SERVING      --DISC, or connection_end() when we stop-->     ENDING
 *   SERVING      --what comes is no request-->                   ENDING
 *   any          --the client has gone-->                        GONE
 *   ENDING       --not all is answered and sent in time-->       GONE
 *   ENDING       --all is answered and sent-->                   closed
 *   GONE         --all requests have come back-->                closed
 *
 * Stalled. While the client does not take its answers, or all requests or the arena are in use,
 * nothing is received and nothing is executed: that bounds what one client can hold.
 *
 * Clients that reconnect. What has been received is executed at once, in the same turn of the loop, or
 * is with a worker.  A client that has closed its end without DISC wants none of it any more, and may
 * have written the same pages by another connection: what a look at the socket finds of such a
 * one is not executed, and a worker looks before each page (volume_write_while()).  So does the loop
 * before what it has received, now and then in a batch, and after a stall; no event says it in time, since one is as old as
 * the turn of the loop, and an error hides it.  Nobody else can have written for a client that has been the only one
 * since it was looked for the last time (alone_since).
 *
 * What was sent before a DISC is carried out, however much of it still waits in the socket and however
 * long workers take: when a client
 * has closed, the last bytes there say whether a DISC is to come.  With TLS they cannot be read before
 * all others: these are received, and none of them is executed before the end is known.  If that does not come
 * within the room for one client's requests, it is taken for gone.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_CONNECTION_H
#define ZSLOT_CONNECTION_H

#include <event2/event.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "arena.h"
#include "gather.h"
#include "negotiate.h"
#include "request.h"
#include "tls.h"

#define CONNECTION_IN_BYTES 262144u
#define CONNECTION_OUT_BYTES 262144u
#define CONNECTION_REQUESTS 128u
#define CONNECTION_NEGOTIATION_S 10

_Static_assert(CONNECTION_IN_BYTES >= NBD_REQUEST_BYTES + REQUEST_INLINE_BYTES &&
                   CONNECTION_IN_BYTES >=
                       NBD_OPTION_HEADER_BYTES + NEGOTIATE_OPTION_BYTES_MAX,
               "what is handled in one piece fits");

enum connection_state {
    CONNECTION_NEGOTIATING,
    CONNECTION_HANDSHAKE, /* of TLS */
    CONNECTION_SERVING,
    CONNECTION_ENDING,
    CONNECTION_GONE
};

struct reactor;

struct connection {
    struct reactor *loop;
    struct connection *next, **link; /* of the loop's list */
    int fd;
    bool is_local;       /* a Unix socket, of bytes */
    unsigned came_alone; /* so many requests of late, one at each reception */
    struct gather gather;
    struct tls_session *tls; /* NULL: in the clear */
    enum connection_state state;
    struct negotiation negotiation;
    /* reactor_clients.ever when it was found to be there and to be the only one; 0: it was not */
    uint64_t alone_since;
    _Atomic bool said_disc;
    _Atomic bool is_gone;  /* state is GONE; for workers */
    _Atomic bool is_asked; /* a worker wants to know whether this has ended by a DISC */

    struct event *readable, *writable, *deadline;
    struct event *
        again; /* to go on: TLS has input that the socket does not tell of, or is_paused */
    bool reading, writing; /* which of them is added */
    bool is_stalled;       /* or has received what connection_go_on() is to look at */
    bool
        is_paused; /* there are requests in in, and the others of the loop have their turn first */
    uint64_t turn_ns; /* when this one's began */
    bool is_touched; /* on the loop's list of those that have something to go on with */
    struct connection *next_touched;

    /* What was received and is not used yet is in[in_start..in_end). */
    uint8_t *in;
    uint32_t in_start, in_end;
    uint32_t
        looked_at_bytes; /* of these, from 0 on, that are in the socket still (input.h) */
    uint32_t discard_bytes; /* of a refused write's data, still to come */
    uint32_t head_done;     /* of a write at in_start, already in the volume */
    struct request *filling;

    /* What is to be sent: first what remains of the first of finished, if a part of it has been
     * sent, or is within TLS on its way; then out[out_start..out_end); then finished. */
    uint8_t *out;
    uint32_t out_start, out_end;
    struct request_queue finished;
    bool first_is_within_tls;
    bool holds_data; /* in out, an answer with data that has not been tried to send */

    struct arena arena;
    struct request *free;
    unsigned busy; /* requests with workers */
    struct request requests[CONNECTION_REQUESTS];
};

/* Takes FD, which does not block.  -ENOMEM: FD is still the caller's. */
int connection_open(struct reactor *loop, int fd);

/* REQUEST has come back from a worker. */
void connection_finish(struct request *request);

/* After all of a batch have come back: sends, and goes on with what was stalled. */
void connection_go_on(struct connection *connection);

/* Receives what has gathered of a client that has taken too long. */
void connection_gather_no_more(struct connection *connection);

/* Receives what has come, without an event that says so.  False: it does not receive now. */
bool connection_poll(struct connection *connection);

/* Receives nothing more, and closes when what has been taken in is answered. */
void connection_end(struct connection *connection);

/* Answers nothing more, and closes when no worker has a request. */
void connection_drop(struct connection *connection);

/* -- Whether it is still there: connection-presence.c. -- */

/* Whether the client is still there to want what it asked for, or has gone with a DISC, by a look at the socket.
 * For workers: the loop, which knows what has been received, is asked and waited for if it has closed. */
bool connection_is_there(struct connection *connection);

/* The same for the loop. */
bool connection_is_wanted(struct connection *connection);

/* Whether there may have been others since it was asked whether this is wanted. */
bool connection_may_have_rivals(const struct connection *connection);
void connection_answer_asked(struct connection *connection);

/* -- What others ask. -- */

const struct export *connection_export(const struct connection *connection);

/* -- For transmit.c. -- */

/* A free request, with BYTES of data if that is not 0.  NULL: not now. */
struct request *connection_request(struct connection *connection, uint32_t bytes);
void connection_request_free(struct request *request);

#endif
