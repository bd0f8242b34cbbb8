/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "input.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "connection.h"

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

enum input_result input_receive(struct connection *connection)
{
    uint8_t *to;
    uint32_t room = room_to_receive(connection, &to);
    ssize_t got = receive_some(connection, to, room);

    if (got == -EAGAIN || got == -EWOULDBLOCK || got == -EINTR)
        return INPUT_NONE;
    if (got <= 0)
        return INPUT_END;
    take_in(connection, (uint32_t)got);
    return (size_t)got == room ? INPUT_MORE : INPUT_SOME;
}

void input_take_rest(struct connection *connection)
{
    for (;;) {
        uint8_t *to;
        uint32_t room = room_to_receive(connection, &to);
        ssize_t got = room > 0 ? receive_some(connection, to, room) : 0;

        if (got <= 0)
            return;
        take_in(connection, (uint32_t)got);
        connection->is_stalled = true; /* or nobody would look at it */
    }
}
