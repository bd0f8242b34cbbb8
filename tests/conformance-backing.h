/* conformance-backing.h - what every backing store must do
 *
 * Owns:    the loop's thread, and the requests.
 * Called:  by unit-backing.c and *-backing-nbd.c, with each kind of backing store.
 * Locks:   one per crowd.
 * Never:   knows which kind it is.
 *
 * Threads submit, the loop answers.  Each thread has blocks of its own, so what it reads is what it
 * wrote or discarded last.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_CONFORMANCE_BACKING_H
#define TESTS_CONFORMANCE_BACKING_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "backing.h"
#include "harness.h"
#include "loop.h"

#define STORE_BYTES (16 * MIB)
#define THREADS 4
#define IN_FLIGHT 48 /* per thread: more in all than a ring takes */
#define BLOCKS_MAX 8 /* of one I/O */

/* -- A backing store with a loop, as a volume has one. -- */

struct host {
    struct backing *backing;
    struct loop loop;
};

void host_start(struct host *host, struct backing *backing);
void host_stop(struct host *host); /* closes it */

/* -- I/O that counts how often it is answered. -- */

struct request {
    struct backing_io io;
    atomic_uint answers;
    int result;
    struct crowd *crowd;
    unsigned char *buffer;
};

/* The requests of one thread. */
struct crowd {
    struct backing *backing;
    uint64_t random;
    unsigned number;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned under_way;
    struct request requests[IN_FLIGHT];
};

void crowd_open(struct crowd *crowd, struct backing *backing, unsigned number);
void crowd_close(struct crowd *crowd);
void crowd_submit(struct request *request, enum backing_op op, uint64_t offset,
                  uint32_t bytes);
void crowd_wait(struct crowd *crowd); /* until all are answered */

/* Run RUN of the thread's own; runs of BLOCKS_MAX blocks are the threads' in turn. */
uint64_t crowd_offset(const struct crowd *crowd, unsigned run);

void conformance_fill(unsigned char *buffer, uint32_t bytes, uint64_t seed);
bool conformance_is_zero(const unsigned char *buffer, uint32_t bytes);

/* -- The tests.  Each closes BACKING. -- */

/* Of STORE_BYTES: threads write, read, discard, and read again. */
void conform(struct backing *backing);

/* When all behind some byte is cut off, reads that touch it fail, and only they. */
void conform_truncated(struct backing *backing, void (*truncate_to)(uint64_t bytes));

#endif
