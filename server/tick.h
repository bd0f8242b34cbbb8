/* tick.h - a loop's clock that goes only while somebody wants it
 *
 * Owns:    a timerfd and its event.
 * Called:  by the loop; open and close before it starts and after it has ended.
 * Locks:   none.
 * Never:   is exact: what is to be done after some time is done at the first tick after that.
 *
 * Not a timer of libevent's: while one is pending each wait of the loop has a timeout, for which the kernel sets a timer
 * and takes it back whenever the loop sleeps: up to 3 us in a virtual machine, which leaves it for that
 * (bench-load, depth 1).  This one is set once, and goes on by itself.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_TICK_H
#define ZSLOT_TICK_H

#include <event2/event.h>
#include <stdbool.h>

struct tick {
    int fd;
    unsigned ms;
    bool is_on;
    struct event *event;
    bool (*fn)(void *opaque);
    void *opaque;
};

/* TICK is zeroed.  FN is called each MS (below 1000) while it is on; false: it need not be any more.  A negative errno. */
int tick_open(struct tick *tick, struct event_base *base, unsigned ms,
              bool (*fn)(void *opaque), void *opaque);

/* Also after tick_open() has failed. */
void tick_close(struct tick *tick);

/* From now on it goes, unless it does already. */
void tick_start(struct tick *tick);

#endif
