/* workers.h - threads for what would wait
 *
 * Owns:    a fixed number of threads, and the queue for them.
 * Called:  workers_add() by loops; start and stop by one thread.
 * Locks:   one mutex for the queues; not held while a request runs.
 * Never:   sends anything, or makes a thread for a request.
 *
 * Writes may wait some seconds for room, and fetches must not stand behind them: at most half of the
 * workers have a write at a time.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_WORKERS_H
#define ZSLOT_WORKERS_H

#include <pthread.h>
#include <stdbool.h>

#include "request.h"

#define WORKERS_COUNT 32u
#define WORKERS_WRITING_MAX (WORKERS_COUNT / 2)

struct workers {
    pthread_mutex_t mutex;
    pthread_cond_t added;
    struct request_queue reads, writes;
    unsigned writing;
    bool stopping;
    unsigned started;
    pthread_t threads[WORKERS_COUNT];
};

int workers_start(struct workers *workers); /* a negative errno */

/* REQUEST comes back by reactor_finish(). */
void workers_add(struct workers *workers, struct request *request);

/* After the last request has come back. */
void workers_stop(struct workers *workers);

#endif
