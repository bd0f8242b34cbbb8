/* host.h - what a volume wants of the process that it is in
 *
 * Owns:    nothing.
 * Called:  the functions by threads of core, as each says, between start and close.
 * Locks:   none is held.
 * Never:   asked for what core can do itself.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_HOST_H
#define ZSLOT_HOST_H

#include <stdbool.h>

struct volume_host {
    /* Whether the process ends, or nobody wants the request any more that this thread serves,
     * and waits in: it need not wait much longer.  NULL: never. */
    bool (*is_ending)(void *opaque);

    /* For the log: something that needs attention has come about, or is over.  In the thread of
     * the loop; some lines a minute at most.  NULL: nobody listens. */
    void (*say)(void *opaque, const char *sentence);
    void *opaque;
};

#endif
