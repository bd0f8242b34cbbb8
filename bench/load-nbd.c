/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "load.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "args.h"
#include "client/dial.h"
#include "client/handshake.h"

/* A client as light as can be, so that what is measured is the server: what has come is received by one call,
 * and all that follows from it is sent by one. The protocol is doc/proto.md of
 * https://github.com/NetworkBlockDevice/nbd. */

#define REQUEST_MAGIC 0x25609513u
#define REPLY_MAGIC 0x67446698u
#define CONNECTIONS_MAX 16u
#define RECEIVE_BYTES (512u << 10)
#define PARTS_MAX (2u * LOAD_PLACES_MAX + 2)
#define PARTS_AT_ONCE 1024u /* the kernel takes no more */

enum { CMD_READ = 0, CMD_WRITE = 1, CMD_DISC = 2 };

struct request_header {
    uint32_t magic;
    uint16_t flags, type;
    uint64_t cookie, offset;
    uint32_t length;
} __attribute__((packed));

struct reply_header {
    uint32_t magic, error;
    uint64_t cookie;
} __attribute__((packed));

struct connection {
    int socket;
    unsigned number, under_way;
    /* out: two parts for each request at most, of which PARTS are to be sent yet */
    struct request_header headers[LOAD_PLACES_MAX];
    struct iovec parts[PARTS_MAX];
    unsigned first, count;
    /* in: a reply's header as far as it has come, then its data */
    struct reply_header reply;
    unsigned have;
    uint32_t data_left;
};

static struct connection *connections;
static unsigned char *received;

static void connect_all(struct load *load)
{
    struct export_info info;
    struct server server;
    struct stream stream;
    struct why why;

    if (dial_lookup(&server, load->wish.target, &why) < 0)
        args_die("%s", why.sentence);
    for (unsigned i = 0; i < load->wish.connections; i++) {
        struct connection *connection = &connections[i];

        connection->number = i;
        connection->socket = dial(&server, &why);
        stream_open(&stream, connection->socket, HANDSHAKE_S);
        if (connection->socket < 0 ||
            handshake(&stream, NULL, load->wish.export, &info, &why) < 0)
            args_die("%s: %s", load->wish.target, why.sentence);
        stream_close(&stream);
        dial_done(connection->socket);
        if (info.size_bytes < load->wish.span_bytes)
            args_die("%s: the export has %llu bytes only", load->wish.target,
                     (unsigned long long)info.size_bytes);
    }
}

/* For two more parts. */
static void make_place(struct connection *connection)
{
    if (connection->count + 2 <= PARTS_MAX && connection->first < connection->count)
        return;
    connection->count -= connection->first;
    memmove(connection->parts, connection->parts + connection->first,
            connection->count * sizeof *connection->parts);
    connection->first = 0;
}

/* Puts what follows at PLACE among the parts to be sent. */
static void give(struct load *load, struct connection *connection, unsigned place)
{
    struct load_request *request = load_next(load, place, connection->number);

    if (!request)
        return;
    struct request_header *header = &connection->headers[place % load->wish.depth];
    *header = (struct request_header){
        .magic = htobe32(REQUEST_MAGIC),
        .type = htobe16(request->is_write ? CMD_WRITE : CMD_READ),
        .cookie = place,
        .offset = htobe64(request->offset),
        .length = htobe32(load->wish.block_bytes),
    };
    make_place(connection);
    connection->parts[connection->count++] = (struct iovec){header, sizeof *header};
    if (request->is_write)
        connection->parts[connection->count++] =
            (struct iovec){request->data, load->wish.block_bytes};
    connection->under_way++;
}

/* As much as the socket takes. */
static void send_parts(struct connection *connection)
{
    while (connection->first < connection->count) {
        unsigned parts = connection->count - connection->first;
        struct msghdr message = {.msg_iov = connection->parts + connection->first,
                                 .msg_iovlen =
                                     parts < PARTS_AT_ONCE ? parts : PARTS_AT_ONCE};
        ssize_t n = sendmsg(connection->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            args_die("cannot send: %s", strerror(errno));
        while (n > 0) {
            struct iovec *part = &connection->parts[connection->first];
            size_t sent = (size_t)n < part->iov_len ? (size_t)n : part->iov_len;

            part->iov_base = (char *)part->iov_base + sent;
            part->iov_len -= sent;
            n -= (ssize_t)sent;
            connection->first += part->iov_len == 0;
        }
    }
}

static void answered(struct load *load, struct connection *connection, uint64_t now_ns)
{
    unsigned place = (unsigned)connection->reply.cookie;

    connection->have = 0;
    connection->under_way--;
    load_done(load, place, now_ns);
    give(load, connection, place);
}

static void on_header(struct load *load, struct connection *connection, uint64_t now_ns)
{
    const struct reply_header *reply = &connection->reply;

    if (be32toh(reply->magic) != REPLY_MAGIC ||
        reply->cookie >= load->wish.depth * load->wish.connections)
        args_die("the server does not keep to the protocol");
    if (reply->error)
        args_die("the server answers with error %u", be32toh(reply->error));
    if (load->requests[reply->cookie].is_write)
        answered(load, connection, now_ns);
    else
        connection->data_left = load->wish.block_bytes;
}

/* What is read is received, and looked at no more. */
static void take(struct load *load, struct connection *connection,
                 const unsigned char *bytes, size_t length)
{
    uint64_t now_ns = load_now_ns();

    while (length > 0) {
        size_t wanted = connection->data_left
                            ? connection->data_left
                            : sizeof connection->reply - connection->have;
        size_t n = length < wanted ? length : wanted;

        if (connection->data_left) {
            connection->data_left -= (uint32_t)n;
            if (connection->data_left == 0)
                answered(load, connection, now_ns);
        } else {
            memcpy((char *)&connection->reply + connection->have, bytes, n);
            connection->have += (unsigned)n;
            if (connection->have == sizeof connection->reply)
                on_header(load, connection, now_ns);
        }
        bytes += n;
        length -= n;
    }
}

static void receive(struct load *load, struct connection *connection, int flags)
{
    ssize_t n = recv(connection->socket, received, RECEIVE_BYTES, flags);

    if (n == 0)
        args_die("the server closed the connection");
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        args_die("cannot receive: %s", strerror(errno));
    if (n > 0)
        take(load, connection, received, (size_t)n);
    send_parts(connection);
}

static void wait_and_receive(struct load *load)
{
    unsigned count = load->wish.connections;
    struct pollfd polled[CONNECTIONS_MAX];

    /* One that has nothing to send need not be asked whether it can receive. */
    if (count == 1 && connections[0].first == connections[0].count) {
        receive(load, &connections[0], 0);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        polled[i] = (struct pollfd){
            connections[i].under_way ? connections[i].socket : -1,
            (short)(POLLIN |
                    (connections[i].first < connections[i].count ? POLLOUT : 0)),
            0};
    if (poll(polled, count, -1) < 0 && errno != EINTR)
        args_die("poll: %s", strerror(errno));
    for (unsigned i = 0; i < count; i++)
        if (polled[i].revents & POLLOUT && !(polled[i].revents & POLLIN))
            send_parts(&connections[i]);
        else if (polled[i].revents)
            receive(load, &connections[i], MSG_DONTWAIT);
}

static bool any_under_way(const struct load *load)
{
    for (unsigned i = 0; i < load->wish.connections; i++)
        if (connections[i].under_way)
            return true;
    return false;
}

void load_nbd(struct load *load)
{
    const struct request_header bye = {
        htobe32(REQUEST_MAGIC), 0, htobe16(CMD_DISC), 0, 0, 0};

    if (load->wish.connections > CONNECTIONS_MAX)
        args_die("at most %u connections", CONNECTIONS_MAX);
    connections = calloc(load->wish.connections, sizeof *connections);
    received = malloc(RECEIVE_BYTES);
    if (!connections || !received)
        args_die("no memory for connections");
    connect_all(load);

    /* Now, not when it connected. */
    load->begin_ns = load->last_ns = load_now_ns();
    load->end_ns = load->begin_ns + (uint64_t)(load->wish.seconds * 1e9);
    for (unsigned i = 0; i < load->wish.connections; i++) {
        for (unsigned k = 0; k < load->wish.depth; k++)
            give(load, &connections[i], i * load->wish.depth + k);
        send_parts(&connections[i]);
    }
    while (any_under_way(load))
        wait_and_receive(load);

    for (unsigned i = 0; i < load->wish.connections; i++) {
        if (send(connections[i].socket, &bye, sizeof bye, MSG_NOSIGNAL) < 0)
            args_die("cannot say goodbye: %s", strerror(errno));
        close(connections[i].socket);
    }
    free(connections);
    free(received);
}
