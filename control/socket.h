/* socket.h - the Unix socket of the control endpoint, in the file system
 *
 * Owns:    the path, while there is a socket of ours at it.
 * Called:  by one thread, before serving and after it.
 * Locks:   none.
 * Never:   takes away what is not a socket, or one where somebody answers.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SOCKET_H
#define ZSLOT_SOCKET_H

#include <stdint.h>

#include "options.h"

struct socket_path {
    const char *path; /* borrowed from the options */
    uint64_t device, inode;
    int fd; /* listening; -1: none, or somebody has taken it */
};

/* Listens at options->control, with the mode and the group that they say.  A socket that a
 * server has left behind is replaced.  On failure a negative errno and a sentence. */
int socket_open(const struct options *options, struct socket_path *socket,
                struct reason *reason);

/* Takes the file away if it is still ours, and closes fd. */
void socket_close(struct socket_path *socket);

#endif
