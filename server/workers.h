/* workers.h - threads for what would wait
 *
 * Owns:    a fixed number of threads, and the queues for them.
 * Called:  workers_add() by loops; start and stop by one thread.
 * Locks:   one mutex for the queues; not held while a request runs.
 * Never:   sends anything, or makes a thread for a request.
 *
 * Writes may wait some seconds for room, reads for a slow backing store, and cache requests bring back
 * as many pages as a client likes to name.  So each kind has a bound, and there are threads for all of the bounds
 * together: whatever two of them do, the third has its own.
 *
 * Exports. The volume of one may wait for a slow backing store, of which the clients of another know nothing. So
 * each has its own queues, they take turns, and of what a kind may have no export has more than twice as much as is
 * free: of the 32 for reads 22 at most if it is alone, 7 beside another like it, and there is one for a third and a fourth.
 * (An equal share for each would leave most workers without work most of the time.)
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_WORKERS_H
#define ZSLOT_WORKERS_H

#include <pthread.h>
#include <stdbool.h>

#include "export.h"
#include "request.h"

enum worker_kind {
    WORKER_CACHES,
    WORKER_OTHERS, /* reads, long trims, block status */
    WORKER_WRITES,
    WORKER_KINDS
};

#define WORKERS_CACHING_MAX 4u
#define WORKERS_OTHERS_MAX 32u
#define WORKERS_WRITING_MAX 16u

#define WORKERS_COUNT (WORKERS_CACHING_MAX + WORKERS_OTHERS_MAX + WORKERS_WRITING_MAX)

struct workers {
    pthread_mutex_t mutex;
    pthread_cond_t added;
    const struct export_table *exports;
    struct worker_kind_state {
        unsigned running; /* of all exports */
        unsigned turn;    /* the export that is looked at first */
        struct {
            struct request_queue queue;
            unsigned running;
        } exports[EXPORTS_MAX];
    } kinds[WORKER_KINDS];
    bool stopping;
    unsigned started;
    pthread_t threads[WORKERS_COUNT];
};

/* EXPORTS stay as they are.  A negative errno. */
int workers_start(struct workers *workers, const struct export_table *exports);

/* REQUEST comes back by reactor_finish(). */
void workers_add(struct workers *workers, struct request *request);

/* After the last request has come back. */
void workers_stop(struct workers *workers);

#endif
