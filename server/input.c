/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "input.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "connection.h"
#include "reactor.h"

/* The longest request that is looked at, and a byte more: a write of a page, or a little more. */
#define LOOK_BYTES 8192u

_Static_assert(LOOK_BYTES <= CONNECTION_IN_BYTES && LOOK_BYTES <= REACTOR_SCRATCH_BYTES,
               "there is room for it");

/* What a client has sent with TLS before it closed is received in so many pieces at most: more than the smallest records of
 * as many requests as there is room for. */
#define REST_PIECES_MAX 256u

/* Where to, and how much. */
static uint32_t room_to_receive(struct connection *connection, uint8_t **to)
{
    struct request *filling = connection->filling;

    if (filling && !input_is_filled(filling)) {
        *to = filling->data + filling->filled_bytes;
        return filling->nbd.bytes - filling->filled_bytes;
    }
    if (connection->in_start > 0) {
        connection->in_end -= connection->in_start;
        memmove(connection->in, connection->in + connection->in_start,
                connection->in_end);
        connection->in_start = 0;
    }
    *to = connection->in + connection->in_end;
    return CONNECTION_IN_BYTES - connection->in_end;
}

/* What was received where room_to_receive() said. */
static void take_in(struct connection *connection, uint32_t bytes)
{
    struct request *filling = connection->filling;

    if (filling && !input_is_filled(filling))
        filling->filled_bytes += bytes;
    else
        connection->in_end += bytes;
}

/* How many bytes, 0 at the end, or a negative errno. */
static ssize_t receive_some(struct connection *connection, uint8_t *to, uint32_t room)
{
    if (connection->tls)
        return tls_receive(connection->tls, to, room);
    ssize_t got = recv(connection->fd, to, room, MSG_DONTWAIT);
    return got < 0 ? -errno : got;
}

/* One that is not too long, with its data, and nothing behind it. */
static bool is_one_request(const uint8_t *bytes, size_t count)
{
    struct nbd_request nbd;

    return count >= NBD_REQUEST_BYTES && count < LOOK_BYTES &&
           nbd_decode_request(bytes, &nbd) &&
           ((nbd.type == NBD_CMD_READ && count == NBD_REQUEST_BYTES) ||
            (nbd.type == NBD_CMD_WRITE && count - NBD_REQUEST_BYTES == nbd.bytes));
}

static bool is_worth_a_look(const struct connection *connection)
{
    return connection->came_alone >= INPUT_ALONE_ENOUGH && connection->in_end == 0 &&
           !connection->filling && connection->state == CONNECTION_SERVING;
}

/* False: it is not one request, and nothing has been done.  What an event tells of and a look does not find, such as
 * an urgent byte, is for a receive to take out, or there would be no end of events. */
static bool look(struct connection *connection, bool is_told, enum input_result *result)
{
    ssize_t there =
        recv(connection->fd, connection->in, LOOK_BYTES, MSG_DONTWAIT | MSG_PEEK);

    *result = INPUT_NONE;
    if (!is_told && there < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return true;
    if (there <= 0 || !is_one_request(connection->in, (size_t)there)) {
        connection->came_alone = 0;
        return false;
    }
    connection->in_end = connection->looked_at_bytes = (uint32_t)there;
    *result = INPUT_SOME;
    return true;
}

void input_take_away(struct connection *connection)
{
    while (connection->looked_at_bytes > 0) {
        ssize_t got = recv(connection->fd, connection->loop->scratch,
                           connection->looked_at_bytes, MSG_DONTWAIT);

        if (got <= 0) {
            /* Nobody else receives from it. */
            connection->looked_at_bytes = 0;
            connection_drop(connection);
            return;
        }
        connection->looked_at_bytes -= (uint32_t)got;
    }
}

enum input_result input_receive(struct connection *connection, bool is_told)
{
    enum input_result result;
    uint8_t *to;

    if (is_worth_a_look(connection) && look(connection, is_told, &result))
        return result;
    uint32_t room = room_to_receive(connection, &to);
    ssize_t got = receive_some(connection, to, room);

    if (got == -EAGAIN || got == -EWOULDBLOCK || got == -EINTR)
        return INPUT_NONE;
    if (got <= 0)
        return INPUT_END;
    bool was_empty = connection->in_end == 0 && !connection->filling;
    take_in(connection, (uint32_t)got);
    if (was_empty && connection->is_local && !connection->tls &&
        is_one_request(connection->in, connection->in_end))
        connection->came_alone++;
    else
        connection->came_alone = 0;
    return (size_t)got == room ? INPUT_MORE : INPUT_SOME;
}

void input_take_rest(struct connection *connection)
{
    for (unsigned i = 0; i < REST_PIECES_MAX; i++) {
        uint8_t *to;
        uint32_t room = room_to_receive(connection, &to);
        ssize_t got = room > 0 ? receive_some(connection, to, room) : 0;

        if (got <= 0)
            return;
        take_in(connection, (uint32_t)got);
        connection->is_stalled = true; /* or nobody would look at it */
    }
}
