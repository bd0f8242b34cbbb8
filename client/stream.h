/* stream.h - bytes to and from a server before its socket is handed to the kernel
 *
 * Owns:    the TLS session, if there is one; the socket is borrowed.
 * Called:  on each new connection, by one thread.
 * Locks:   nothing.
 * Never:   takes longer than its deadline, and what one receiving may take on that socket; receives more than it is
 *          asked for, since what comes then is the kernel's.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_STREAM_H
#define CLIENT_STREAM_H

#include <stddef.h>
#include <time.h>

#include "why.h"

struct tls;
struct tls_session;

struct stream {
    int socket;
    time_t deadline_s;
    struct tls_session *tls; /* NULL: in the clear */
};

void stream_open(struct stream *stream, int socket, time_t seconds);

/* Both: all of LENGTH, or -1 and why. */
int stream_receive(struct stream *stream, void *buffer, size_t length, struct why *why);
int stream_send(struct stream *stream, const void *buffer, size_t length,
                struct why *why);

/* From now on by TLS, which the server expects. */
int stream_start_tls(struct stream *stream, struct tls *tls, struct why *why);

/* What is sent and received on the socket from now on is what stream_send() and stream_receive() would: with TLS
 * the kernel does it. */
int stream_give_to_kernel(struct stream *stream, struct why *why);

/* The socket stays open. */
void stream_close(struct stream *stream);

#endif
