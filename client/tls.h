/* tls.h - TLS with a server, until the kernel goes on with it
 *
 * Owns:    whom we trust and what we are known by (credentials.h), read once; of a connection, its session.
 * Called:  tls_open() at the start; a session by stream.c, by one thread.
 * Locks:   nothing.
 * Never:   reads a file after tls_open(); lets a server be one that it cannot prove to be.
 *
 * By GnuTLS, which allocates: reserve.h.
 *
 * Versions. A session is of TLS 1.2 where the server has that: its keys last as long as the connection. With 1.3 a
 * server may change its keys (GnuTLS does after 2^24 records), which Linux before 6.14 cannot follow; that ends the
 * connection, and it is made anew. So 1.3 is for servers that have nothing else.
 *
 * Each connection begins with 1.2: that one failed need not mean that the next will.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_TLS_H
#define CLIENT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "why.h"

/* Either certificates or psk; strings are borrowed for as long as there are sessions. */
struct tls_settings {
    const char *certificates; /* a directory, with files as in nbdkit-tls(1) */
    const char *hostname;     /* what the server's certificate must be for */
    const char *psk;          /* a file of lines NAME:KEY, as psktool(1) makes it */
    const char *username;     /* whose; NULL: the first of the file */
};

struct tls;
struct tls_session;

/* There is one, to the end of the process. */
int tls_open(const struct tls_settings *settings, struct tls **tls, struct why *why);

/* The handshake, on a socket that stays the caller's. -1: *SESSION is NULL. */
int tls_start(struct tls *tls, int socket, time_t deadline_s,
              struct tls_session **session, struct why *why);
void tls_end(struct tls_session *session);

/* After a connection has failed: whether it did over the version, and the next will be tried with another one. If
 * not, the next begins with the first. */
bool tls_has_another_version(struct tls *tls);

/* All of LENGTH, or -1 and why. */
int tls_receive(struct tls_session *session, void *buffer, size_t length,
                struct why *why);
int tls_send(struct tls_session *session, const void *buffer, size_t length,
             struct why *why);

/* The kernel goes on with the socket; the session is of no more use. */
int tls_give_to_kernel(struct tls_session *session, struct why *why);

#endif
