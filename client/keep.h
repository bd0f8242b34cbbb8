/* keep.h - keeps a device connected
 *
 * Owns:    nothing; works with what it is given.
 * Called:  by the resident process, as all that it does.
 * Locks:   nothing.
 * Never:   allocates (but for TLS: link.h), gives up, or takes a server whose export is not the one it began with.
 *
 *   all links alive   --the kernel tells of a dead one-->   dial
 *   dial              --connected, the same export-->       kernel_replace(), one fewer to go
 *   dial              --anything else-->                    again after 100 ms, 200 ms, ... 5 s
 *   any               --the device is disconnected, or
 *                       somebody else has connected it-->   the end
 *
 * A link that dies within some seconds after one was made counts as an attempt that has failed: a server that negotiates
 * and then hangs up is not dialled without a pause.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_KEEP_H
#define CLIENT_KEEP_H

#include "kernel.h"
#include "link.h"

enum {
    KEEP_DELAY_MIN_MS = 100,
    KEEP_DELAY_MAX_MS = 5000,
    KEEP_LOOK_MS = 10000,
    KEEP_HOLDS_MS = 5000
};

struct keep {
    struct kernel *kernel;
    const struct link_target *target;
    struct export_info export_info; /* what it was at the start */
    uint32_t index;
    unsigned connections;
    unsigned dead;         /* how many links have to be made again */
    uint64_t connection;   /* kernel_connection() at the start */
    uint64_t connected_ms; /* when a link was made last; 0: not by this process */
    int delay_ms;          /* before the next attempt, if that does not hold */
};

/* Returns when the device is not connected any more. */
void keep_run(struct keep *keep);

#endif
