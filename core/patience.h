/* patience.h - how long a request waits for what may never come
 *
 * Owns:    nothing.
 * Called:  by request threads that wait for the backing store or for room.
 * Locks:   none; patience_go_on() is called with none held.
 * Never:   waits itself.
 *
 *   patience_begin()
 *     patience_slice(), the wait until then
 *     patience_go_on(): again, or no more
 *
 * Requests wait in slices, and ask their host (volume.h) after each whether it ends: a server
 * that is told to end shall not wait half a minute for a backing store that hangs.  What is
 * under way then has PATIENCE_HURRIED_MS more to come to its end in the ordinary way.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_PATIENCE_H
#define ZSLOT_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define PATIENCE_SLICE_MS 100
#define PATIENCE_HURRIED_MS 500

struct parts;

/* Between two waits it can be kept: LEFT_MS is what is left of all of them together. */
struct patience {
    uint64_t left_ms;
    bool is_hurried;
    uint64_t since_ms; /* this wait's last look at the clock */
};

void patience_begin(struct patience *patience);

/* The end of the next slice, on CLOCK_MONOTONIC. */
void patience_slice(const struct patience *patience, struct timespec *until);

/* Takes off the time since the last call.  -ETIMEDOUT: nothing is left; -ESHUTDOWN: the same,
 * since the host ends. */
int patience_go_on(struct patience *patience, const struct parts *parts);

#endif
