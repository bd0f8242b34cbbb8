/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "workers.h"

#include <errno.h>

#include "connection.h"
#include "execute.h"
#include "reactor.h"

static const unsigned running_max[WORKER_KINDS] = {
    [WORKER_CACHES] = WORKERS_CACHING_MAX,
    [WORKER_OTHERS] = WORKERS_OTHERS_MAX,
    [WORKER_WRITES] = WORKERS_WRITING_MAX,
};

static enum worker_kind kind_of(const struct request *request)
{
    switch (request->nbd.type) {
    case NBD_CMD_CACHE:
        return WORKER_CACHES;
    case NBD_CMD_WRITE:
    case NBD_CMD_WRITE_ZEROES:
        return WORKER_WRITES;
    default:
        return WORKER_OTHERS;
    }
}

static unsigned export_of(const struct workers *workers, const struct request *request)
{
    return (unsigned)(connection_export(request->connection) -
                      workers->exports->exports);
}

static struct request *take_of_kind(struct workers *workers, enum worker_kind kind)
{
    struct worker_kind_state *state = &workers->kinds[kind];
    const unsigned count = workers->exports->count;
    const unsigned share =
        count == 1 ? running_max[kind] : 2 * (running_max[kind] - state->running);

    for (unsigned i = 0; i < count && state->running < running_max[kind]; i++) {
        unsigned export = (state->turn + i) % count;
        struct request *request =
            state->exports[export].running < share
                ? request_queue_take(&state->exports[export].queue)
                : NULL;

        if (request) {
            state->running++;
            state->exports[export].running++;
            state->turn = (export + 1) % count;
            return request;
        }
    }
    return NULL;
}

/* There is a thread for each request that the bounds let run, so the order is no matter. */
static struct request *take_locked(struct workers *workers)
{
    struct request *request = NULL;

    for (unsigned kind = 0; !request && kind < WORKER_KINDS; kind++)
        request = take_of_kind(workers, kind);
    return request;
}

/* Its request has come back, and is no longer to be looked into. */
static void done_locked(struct workers *workers, enum worker_kind kind, unsigned export)
{
    workers->kinds[kind].running--;
    workers->kinds[kind].exports[export].running--;
    /* An export may have more now than the one that this worker takes next. */
    if (workers->exports->count > 1)
        pthread_cond_signal(&workers->added);
}

static void *work(void *opaque)
{
    struct workers *workers = opaque;

    pthread_mutex_lock(&workers->mutex);
    for (;;) {
        struct request *request = take_locked(workers);
        if (!request) {
            if (workers->stopping)
                break;
            pthread_cond_wait(&workers->added, &workers->mutex);
            continue;
        }
        const enum worker_kind kind = kind_of(request);
        const unsigned export = export_of(workers, request);
        pthread_mutex_unlock(&workers->mutex);

        execute_and_wait(request);
        reactor_finish(request->connection->loop, request);

        pthread_mutex_lock(&workers->mutex);
        done_locked(workers, kind, export);
    }
    pthread_mutex_unlock(&workers->mutex);
    return NULL;
}

int workers_start(struct workers *workers, const struct export_table *exports)
{
    *workers = (struct workers){.exports = exports};
    pthread_mutex_init(&workers->mutex, NULL);
    pthread_cond_init(&workers->added, NULL);
    for (unsigned kind = 0; kind < WORKER_KINDS; kind++)
        for (unsigned i = 0; i < exports->count; i++)
            request_queue_init(&workers->kinds[kind].exports[i].queue);
    for (; workers->started < WORKERS_COUNT; workers->started++) {
        int r =
            pthread_create(&workers->threads[workers->started], NULL, work, workers);
        if (r > 0) {
            workers_stop(workers);
            return -r;
        }
    }
    return 0;
}

void workers_add(struct workers *workers, struct request *request)
{
    pthread_mutex_lock(&workers->mutex);
    request_queue_add(
        &workers->kinds[kind_of(request)].exports[export_of(workers, request)].queue,
        request);
    pthread_cond_signal(&workers->added);
    pthread_mutex_unlock(&workers->mutex);
}

void workers_stop(struct workers *workers)
{
    pthread_mutex_lock(&workers->mutex);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->added);
    pthread_mutex_unlock(&workers->mutex);
    for (unsigned i = 0; i < workers->started; i++)
        pthread_join(workers->threads[i], NULL);
    workers->started = 0;
    pthread_cond_destroy(&workers->added);
    pthread_mutex_destroy(&workers->mutex);
}
