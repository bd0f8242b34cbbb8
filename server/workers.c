/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "workers.h"

#include <errno.h>

#include "connection.h"
#include "execute.h"
#include "reactor.h"

static bool is_write(const struct request *request)
{
    return request->nbd.type == NBD_CMD_WRITE ||
           request->nbd.type == NBD_CMD_WRITE_ZEROES;
}

static struct request *take_locked(struct workers *workers)
{
    struct request *request = request_queue_take(&workers->reads);

    if (!request && workers->writing < WORKERS_WRITING_MAX)
        request = request_queue_take(&workers->writes);
    return request;
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
        bool writes = is_write(request);
        workers->writing += writes;
        pthread_mutex_unlock(&workers->mutex);

        execute_and_wait(request);
        reactor_finish(request->connection->loop, request);

        pthread_mutex_lock(&workers->mutex);
        workers->writing -= writes;
    }
    pthread_mutex_unlock(&workers->mutex);
    return NULL;
}

int workers_start(struct workers *workers)
{
    *workers = (struct workers){.started = 0};
    pthread_mutex_init(&workers->mutex, NULL);
    pthread_cond_init(&workers->added, NULL);
    request_queue_init(&workers->reads);
    request_queue_init(&workers->writes);
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
    request_queue_add(is_write(request) ? &workers->writes : &workers->reads, request);
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
