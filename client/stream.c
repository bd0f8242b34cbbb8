/* stream.c - bytes to and from a server before its socket is handed to the kernel
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "stream.h"
#include "deadline.h"
#include "tls.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void stream_open(struct stream *stream, int socket, time_t seconds)
{
    stream->socket = socket;
    stream->deadline_s = deadline_in(seconds);
    stream->tls = NULL;
}

static int receive_clear(const struct stream *stream, void *buffer, size_t length,
                         struct why *why)
{
    unsigned char *next = buffer;

    while (length > 0) {
        if (deadline_is_over(stream->deadline_s))
            return why_set(why, "the server takes too long to say what it has");
        const ssize_t done = recv(stream->socket, next, length, 0);
        if (done < 0 && errno == EINTR)
            continue;
        if (done == 0)
            return why_set(why, "the server closed the connection");
        if (done < 0)
            return why_set(why, "the server does not answer: %s", strerror(errno));
        next += done;
        length -= done;
    }
    return 0;
}

static int send_clear(const struct stream *stream, const void *buffer, size_t length,
                      struct why *why)
{
    const unsigned char *next = buffer;

    while (length > 0) {
        const ssize_t done = send(stream->socket, next, length, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return why_set(why, "cannot send: %s", strerror(errno));
        next += done;
        length -= done;
    }
    return 0;
}

int stream_receive(struct stream *stream, void *buffer, size_t length, struct why *why)
{
    return stream->tls ? tls_receive(stream->tls, buffer, length, why)
                       : receive_clear(stream, buffer, length, why);
}

int stream_send(struct stream *stream, const void *buffer, size_t length,
                struct why *why)
{
    return stream->tls ? tls_send(stream->tls, buffer, length, why)
                       : send_clear(stream, buffer, length, why);
}

int stream_start_tls(struct stream *stream, struct tls *tls, struct why *why)
{
    return tls_start(tls, stream->socket, stream->deadline_s, &stream->tls, why);
}

int stream_give_to_kernel(struct stream *stream, struct why *why)
{
    return stream->tls ? tls_give_to_kernel(stream->tls, why) : 0;
}

void stream_close(struct stream *stream)
{
    if (stream->tls)
        tls_end(stream->tls);
    stream->tls = NULL;
}
