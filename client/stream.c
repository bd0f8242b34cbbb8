/* stream.c - bytes to and from a server before its socket is handed to the kernel
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "stream.h"
#include "deadline.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void stream_open(struct stream *stream, int socket, time_t seconds)
{
    stream->socket = socket;
    stream->deadline_s = deadline_in(seconds);
}

int stream_receive(struct stream *stream, void *buffer, size_t length, struct why *why)
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

int stream_send(struct stream *stream, const void *buffer, size_t length,
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
