/* tls.h - TLS for connections, by GnuTLS
 *
 * Owns:    what the server proves itself by, and who may come in; of a connection, its session.
 * Called:  tls_open() and tls_close() by one thread, before and after serving; a session by its loop.
 * Locks:   none; what sessions share is not changed once it is open.
 * Never:   waits, or decides what may be said without TLS (negotiate.h does).
 *
 * GnuTLS allocates while it serves: some tens of KiB in a handshake, a record or two after it.  The length
 * of a client's messages is bounded by it, and the time that a handshake may take by the connection's.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_TLS_H
#define ZSLOT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "reason.h"

enum tls_mode {
    TLS_OFF,
    TLS_ON,     /* a client may ask for it */
    TLS_REQUIRE /* it must, before anything else */
};

struct tls_settings {
    enum tls_mode mode;
    const char *certificates; /* a directory, or NULL */
    const char *psk;          /* a file, or NULL */
    bool verify_peer;
};

struct tls;
struct tls_session;

/* Reads what SETTINGS name; *TLS is NULL with TLS_OFF.  A negative errno with a sentence. */
int tls_open(const struct tls_settings *settings, struct tls **tls,
             struct reason *reason);
void tls_close(struct tls *tls); /* NULL is fine */

/* A session over FD, which does not block and stays the caller's.  NULL: no memory. */
struct tls_session *tls_begin(struct tls *tls, int fd);
void tls_end(
    struct tls_session *session); /* says goodbye if that is possible at once */

/* 0: done.  -EAGAIN: again when FD is writable, if the session wants to send, else readable.  Another
 * negative errno: the client does not do, or has gone. */
int tls_handshake(struct tls_session *session);
bool tls_wants_to_send(const struct tls_session *session);

/* As much as there is and ROOM takes.  0: the client has ended it.  -EAGAIN, or another negative
 * errno. */
ssize_t tls_receive(struct tls_session *session, void *to, size_t room);

/* Whether tls_receive() has something to say although FD may have nothing. */
bool tls_has_input(const struct tls_session *session);

/* Sends from the front of PIECES; how many bytes, all of one piece.  -EAGAIN: the same pieces, or more, are to
 * be sent again when FD is writable.  Another negative errno. */
ssize_t tls_send(struct tls_session *session, const struct iovec *pieces, int count);

#endif
