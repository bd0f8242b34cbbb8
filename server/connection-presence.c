/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "connection.h"
#include "input.h"
#include "reactor.h"

/* More than a socket holds. */
#define PEEK_PIECES 512u

static short look_at(const struct connection *connection)
{
    struct pollfd look = {.fd = connection->fd, .events = POLLRDHUP};

    return poll(&look, 1, 0) > 0 ? look.revents : 0;
}

bool connection_is_there(struct connection *connection)
{
    const struct timespec shortly = {.tv_nsec = 1000000};

    for (;;) {
        short seen = look_at(connection);

        if (atomic_load(&connection->is_gone))
            return false;
        if (seen == 0 || atomic_load(&connection->said_disc))
            return true;
        /* A DISC may be among what the loop has received, or will. */
        atomic_store(&connection->is_asked, true);
        reactor_ask(connection->loop);
        nanosleep(&shortly, NULL);
    }
}

/* The last bytes that wait in the socket, at the end of TAIL; how many of all. */
static size_t peek_tail(const struct connection *connection,
                        uint8_t tail[NBD_REQUEST_BYTES])
{
    uint8_t *scratch = connection->loop->scratch;
    struct iovec pieces[PEEK_PIECES];
    struct msghdr all = {.msg_iov = pieces, .msg_iovlen = PEEK_PIECES};

    for (unsigned i = 0; i < PEEK_PIECES; i++)
        pieces[i] = (struct iovec){scratch, REACTOR_SCRATCH_BYTES};
    ssize_t there = recvmsg(connection->fd, &all, MSG_PEEK | MSG_DONTWAIT);
    if (there <= 0)
        return 0;
    /* The same again, with the end somewhere else. */
    size_t wanted =
        (size_t)there < NBD_REQUEST_BYTES ? (size_t)there : NBD_REQUEST_BYTES;
    size_t before = (size_t)there - wanted, count = before / REACTOR_SCRATCH_BYTES;
    if (count + 2 > PEEK_PIECES)
        return 0;
    pieces[count] = (struct iovec){scratch, before % REACTOR_SCRATCH_BYTES};
    pieces[count + 1] = (struct iovec){tail + NBD_REQUEST_BYTES - wanted, wanted};
    all.msg_iovlen = count + 2;
    return recvmsg(connection->fd, &all, MSG_PEEK | MSG_DONTWAIT) == there
               ? (size_t)there
               : 0;
}

/* Of a client that has closed: whether a DISC is the last that it has sent. */
static bool ends_with_disc(struct connection *connection)
{
    if (connection->tls)
        input_take_rest(connection);
    uint8_t tail[NBD_REQUEST_BYTES];
    size_t there = connection->tls ? 0 : peek_tail(connection, tail);
    uint32_t in = connection->in_end - connection->in_start;
    struct nbd_request nbd;

    /* What is only looked at is in, or has been executed. */
    if (there == connection->looked_at_bytes)
        there = 0;
    if (there < NBD_REQUEST_BYTES) {
        size_t wanted = NBD_REQUEST_BYTES - there;

        if (in < wanted)
            return false;
        memcpy(tail, connection->in + connection->in_end - wanted, wanted);
    }
    return nbd_decode_request(tail, &nbd) && nbd.type == NBD_CMD_DISC;
}

bool connection_may_have_rivals(const struct connection *connection)
{
    return connection->alone_since !=
           atomic_load(&reactor_clients(connection->loop)->ever);
}

bool connection_is_wanted(struct connection *connection)
{
    struct reactor_clients *clients = reactor_clients(connection->loop);
    const uint64_t ever = atomic_load(&clients->ever);
    const bool is_alone = atomic_load(&clients->now) == 1;
    short seen = look_at(connection);

    connection->alone_since = is_alone ? ever : 0;

    if (connection->state == CONNECTION_GONE)
        return false;
    /* Also after an error: a client that leaves an answer unread makes one. */
    if (seen && !atomic_load(&connection->said_disc) && ends_with_disc(connection))
        atomic_store(&connection->said_disc, true);
    return seen == 0 || atomic_load(&connection->said_disc);
}

void connection_answer_asked(struct connection *connection)
{
    if (atomic_exchange(&connection->is_asked, false) &&
        !connection_is_wanted(connection))
        connection_drop(connection);
}
