/* dial.h - a server's addresses, and connections to it
 *
 * Owns:    the addresses, looked up once: a lookup takes memory and may need the disk, which is no
 *          good when memory is what the kernel is out of.
 * Called:  dial_lookup() at the start, dial() whenever a connection is wanted.
 * Locks:   nothing.
 * Never:   allocates after dial_lookup(), or waits longer than DIAL_TIMEOUT_S for one address.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_DIAL_H
#define CLIENT_DIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "why.h"

enum {
    DIAL_HOST_MAX = 256,
    DIAL_ADDRESSES_MAX = 8,
    DIAL_TIMEOUT_S = 10,
    DIAL_UNHEARD_MAX_MS = 30000
};

struct address {
    struct sockaddr_storage socket;
    socklen_t length;
};

struct server {
    struct address addresses[DIAL_ADDRESSES_MAX];
    unsigned count;
    uint64_t request_timeout_s; /* of the kernel; 0: it has none */
};

/* "target" is HOST, HOST:PORT, [ADDRESS]:PORT, or the path of a Unix socket, which has a slash. */
int dial_lookup(struct server *server, const char *target, struct why *why);

/* What of that can be told without looking it up. */
int dial_check(const char *target, struct why *why);

/* The HOST or ADDRESS of one that dial_check() has found well; a path has none. */
void dial_host(const char *target, char host[DIAL_HOST_MAX]);

/* Whether it is a path. */
bool dial_is_path(const char *target);

/* A connected socket, whose sends and receives end after DIAL_TIMEOUT_S, or -1. One by TCP is given up when
 * the other end has not been heard of for two thirds of request_timeout_s, or DIAL_UNHEARD_MAX_MS if
 * that is less. */
int dial(const struct server *server, struct why *why);

/* Takes the timeouts off again: the kernel has timers of its own. */
void dial_done(int socket);

#endif
