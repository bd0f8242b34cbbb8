/* listen.h - the sockets that clients connect to
 *
 * Owns:    the sockets, and the files of Unix sockets that it made.
 * Called:  by one thread, before and after serving.
 * Locks:   none.
 * Never:   accepts.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_LISTEN_H
#define ZSLOT_LISTEN_H

#include <sys/stat.h>

#include "reason.h"

#define LISTEN_FDS_MAX 64u

struct listener {
    unsigned count;
    int fds[LISTEN_FDS_MAX];
    /* Of the socket at the same place, or NULL; absolute, since we may go to another directory. */
    char *unix_paths[LISTEN_FDS_MAX];
    /* Of unix_paths as they were made: another server's may be there since. */
    struct stat made[LISTEN_FDS_MAX];
};

/* Opens what ADDRESS, which is borrowed, says:
 *   unix:PATH   tcp:HOST:PORT   tcp:[HOST]:PORT   vsock:PORT   vsock:CID:PORT */
int listen_open(struct listener *listener, const char *address, struct reason *reason);

/* Takes the sockets that systemd, or who acts like it, has left for us by LISTEN_FDS; returns how many.
 * The protocol: sd_listen_fds(3). */
int listen_take_activated(struct listener *listener, struct reason *reason);

void listen_close(struct listener *listener);

#endif
