/* file-ring.h - I/O on one descriptor, by io_uring
 *
 * Owns:    two rings, the eventfd that they signal, and I/O that waits to get into them.
 * Called:  submit and wait by any thread; completions by the loop's thread, or by who
 *          waits; the rest by one thread.
 * Locks:   LOCK_RANK_BACKING, one for each ring, not held while a done function runs.
 * Never:   opens, closes or knows what the descriptor is.
 *
 * One ring has the urgent reads, the other all else: a fetch shall not stand behind the
 * lock under which a whole segment is copied to a file in RAM, nor a device get more of
 * the others than leaves it time for reads.
 *
 * Who completes an urgent read. By way of the loop it takes three wake-ups: the reader
 * runs the kernel's part, the loop takes the completion, the reader goes on.  So a
 * reader waits in the kernel for the ring itself, and runs the done functions of all
 * that it finds there:
 *
 *   one thread at a time is the waiter; the loop leaves the ring to it;
 *   when it goes, and reads are under way, the eventfd is switched on: until another
 *   waiter comes, the loop completes them;
 *   nobody waits for a read that is not under way any more: its done function runs, or
 *   has run, in another thread.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_FILE_RING_H
#define ZSLOT_FILE_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <time.h>

#include "backing.h"
#include "lock.h"

struct event;
struct event_base;

struct file_ring_list {
    struct backing_io *head, **end;
};

struct file_ring {
    struct lock lock; /* guards all of it, but not the kernel's side */
    struct io_uring uring;
    bool is_ready;
    bool can_wait;      /* for a time; kernels before 5.11 cannot */
    unsigned entries;   /* in the ring at a time, at most */
    unsigned under_way; /* and are */
    struct file_ring_list waiting;
    bool has_waiter; /* who takes completions; else the loop */
};

struct file_rings {
    int fd;
    int wake_fd; /* an eventfd: completions, or something to do, for the loop */
    struct event *wake, *again;
    struct file_ring urgent, others;
};

/* Whether this process can have rings at all: 0 or a negative errno. */
int file_rings_try(void);

/* -errno: no eventfd.  FD is borrowed. */
int file_rings_open(struct file_rings *rings, int fd);

/* After a fork.  BASE's thread completes what no other does.  -errno. */
int file_rings_start(struct file_rings *rings, struct event_base *base);

/* Nothing is under way. */
void file_rings_close(struct file_rings *rings);

/* As backing.h says. */
void file_rings_submit(struct file_rings *rings, struct backing_io *io);
bool file_rings_wait(struct file_rings *rings, struct backing_io *io,
                     const struct timespec *deadline);

#endif
