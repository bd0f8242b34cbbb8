/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "output.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "connection.h"
#include "reactor.h"
#include "tls.h"

#define PIECES_MAX 64

bool output_is_waiting(const struct connection *connection)
{
    return connection->out_end > connection->out_start || connection->finished.first;
}

static uint32_t left_of(const struct request *request)
{
    return request->header_bytes + request->answer_bytes - request->sent_bytes;
}

static int add_request(struct iovec *pieces, int count, struct request *request)
{
    uint32_t sent = request->sent_bytes;

    if (sent < request->header_bytes) {
        pieces[count++] =
            (struct iovec){request->header + sent, request->header_bytes - sent};
        sent = 0;
    } else
        sent -= request->header_bytes;
    if (sent < request->answer_bytes)
        pieces[count++] =
            (struct iovec){request->data + sent, request->answer_bytes - sent};
    return count;
}

/* The first finished request is sent to its end before anything else. */
static bool has_begun(const struct connection *connection)
{
    const struct request *first = connection->finished.first;

    return first && (first->sent_bytes > 0 || connection->first_is_within_tls);
}

static int make_pieces(struct connection *connection, struct iovec *pieces)
{
    struct request *request = connection->finished.first;
    int count = 0;

    if (has_begun(connection)) {
        count = add_request(pieces, count, request);
        request = request->next;
    }
    if (connection->out_end > connection->out_start)
        pieces[count++] = (struct iovec){connection->out + connection->out_start,
                                         connection->out_end - connection->out_start};
    for (; request && count + 2 <= PIECES_MAX; request = request->next)
        count = add_request(pieces, count, request);
    return count;
}

/* Takes off what has been sent of the first finished request; returns what is left of BYTES. */
static size_t take_off_request(struct connection *connection, size_t bytes)
{
    struct request *request = connection->finished.first;
    uint32_t left = left_of(request);

    if (bytes < left) {
        request->sent_bytes += (uint32_t)bytes;
        return 0;
    }
    connection_request_free(request_queue_take(&connection->finished));
    return bytes - left;
}

static void take_off(struct connection *connection, size_t bytes)
{
    if (has_begun(connection))
        bytes = take_off_request(connection, bytes);

    uint32_t out = connection->out_end - connection->out_start;
    uint32_t sent = bytes < out ? (uint32_t)bytes : out;
    connection->out_start += sent;
    if (connection->out_start == connection->out_end)
        connection->out_start = connection->out_end = 0;
    bytes -= sent;

    while (bytes > 0)
        bytes = take_off_request(connection, bytes);
}

/* How many bytes, or a negative errno. */
static ssize_t send_some(struct connection *connection, struct iovec *pieces, int count)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};

    if (connection->tls)
        return tls_send(connection->tls, pieces, count);
    ssize_t sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? -errno : sent;
}

/* Nobody receives any more.  What was sent before a DISC is to be carried out all the same. */
static void lose(struct connection *connection)
{
    if (!connection_is_wanted(connection) || !atomic_load(&connection->said_disc)) {
        connection_drop(connection);
        return;
    }
    while (connection->finished.first)
        connection_request_free(request_queue_take(&connection->finished));
    connection->out_start = connection->out_end = 0;
    /* It has room again, as if all had been sent: who is stalled goes on. */
    connection->loop->sends++;
}

void output_flush(struct connection *connection)
{
    connection->holds_data = false;
    while (output_is_waiting(connection) && connection->state != CONNECTION_GONE) {
        struct iovec pieces[PIECES_MAX];
        ssize_t sent = send_some(connection, pieces, make_pieces(connection, pieces));

        if (sent > 0) {
            gather_sent(&connection->gather, (size_t)sent);
            take_off(connection, (size_t)sent);
            connection->first_is_within_tls = false;
            connection->loop->sends++;
            connection->loop->latest = connection;
        } else if (sent == -EAGAIN || sent == -EWOULDBLOCK) {
            /* The record that TLS has is of what stood first. */
            if (connection->tls && connection->out_end == connection->out_start)
                connection->first_is_within_tls = true;
            return;
        } else if (sent != -EINTR)
            lose(connection);
    }
}

uint8_t *output_room(struct connection *connection, uint32_t bytes)
{
    if (CONNECTION_OUT_BYTES - connection->out_end < bytes)
        output_flush(connection);
    if (CONNECTION_OUT_BYTES - connection->out_end < bytes ||
        connection->state == CONNECTION_GONE)
        return NULL;
    return connection->out + connection->out_end;
}
