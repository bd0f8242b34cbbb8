/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "workers.h"

#include <errno.h>

#include "connection.h"
#include "execute.h"
#include "reactor.h"

static const unsigned running_max[WORKER_KINDS] = {
    [WORKER_CACHES] = WORKERS_CACHING_MAX,
    [WORKER_READS] = WORKERS_READING_MAX,
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
        return WORKER_READS;
    }
}

/* In the order of the kinds: all but the last have bounds that leave it some. */
static struct request *take_locked(struct workers *workers)
{
    for (unsigned i = 0; i < WORKER_KINDS; i++)
        if (workers->kinds[i].running < running_max[i]) {
            struct request *request = request_queue_take(&workers->kinds[i].queue);

            if (request)
                return request;
        }
    return NULL;
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
        enum worker_kind kind = kind_of(request);
        workers->kinds[kind].running++;
        pthread_mutex_unlock(&workers->mutex);

        execute_and_wait(request);
        reactor_finish(request->connection->loop, request);

        pthread_mutex_lock(&workers->mutex);
        workers->kinds[kind].running--;
    }
    pthread_mutex_unlock(&workers->mutex);
    return NULL;
}

int workers_start(struct workers *workers)
{
    *workers = (struct workers){.started = 0};
    pthread_mutex_init(&workers->mutex, NULL);
    pthread_cond_init(&workers->added, NULL);
    for (unsigned i = 0; i < WORKER_KINDS; i++)
        request_queue_init(&workers->kinds[i].queue);
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
    request_queue_add(&workers->kinds[kind_of(request)].queue, request);
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
