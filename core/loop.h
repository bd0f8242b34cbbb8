/* loop.h - the volume's event loop, and the thread that runs it
 *
 * Owns:    the event base and the thread.
 * Called:  open, start, stop and close by one thread, in this order; loop_call() by any
 *          other than the loop's own.
 * Locks:   none while a function runs.
 * Never:   knows what runs in it: writeback, completions of the backing store, the
 *          control endpoint.
 *
 * What wants to hear of events adds them to the base before loop_start(), or in a
 * function that loop_call() runs.  It takes them off before loop_close().
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_LOOP_H
#define ZSLOT_LOOP_H

#include <pthread.h>
#include <stdbool.h>

struct event;
struct event_base;

struct loop {
    struct event_base *base; /* NULL when closed */
    struct event *stop;
    pthread_t thread;
    bool running;
};

/* After a fork. -ENOMEM. */
int loop_open(struct loop *loop);

/* A negative errno. */
int loop_start(struct loop *loop);

typedef void loop_fn(void *opaque);

/* Runs FN in the loop's thread, which must be running, and waits for its end.  -ENOMEM: it
 * did not run. */
int loop_call(struct loop *loop, loop_fn *fn, void *opaque);

void loop_stop(struct loop *loop); /* one that is not running is fine */
void loop_close(struct loop *loop);

#endif
