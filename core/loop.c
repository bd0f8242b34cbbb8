/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <semaphore.h>
#include <signal.h>

/* An event: libevent forgets to break a loop that has not begun yet. */
static void on_stop(evutil_socket_t fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(opaque);
}

int loop_open(struct loop *loop)
{
    evthread_use_pthreads();
    loop->base = event_base_new();
    if (!loop->base)
        return -ENOMEM;
    loop->stop = event_new(loop->base, -1, 0, on_stop, loop->base);
    return loop->stop ? 0 : -ENOMEM;
}

static void *run(void *opaque)
{
    event_base_loop(opaque, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

int loop_start(struct loop *loop)
{
    /* Signals are the host's, and go to its threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&loop->thread, NULL, run, loop->base);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    loop->running = r == 0;
    return r;
}

struct call {
    loop_fn *fn;
    void *opaque;
    sem_t done;
};

static void on_call(evutil_socket_t fd, short what, void *opaque)
{
    struct call *call = opaque;

    (void)fd;
    (void)what;
    call->fn(call->opaque);
    sem_post(&call->done);
}

int loop_call(struct loop *loop, loop_fn *fn, void *opaque)
{
    static const struct timeval now;
    struct call call = {.fn = fn, .opaque = opaque};
    int r = 0;

    sem_init(&call.done, 0, 0);
    if (event_base_once(loop->base, -1, EV_TIMEOUT, on_call, &call, &now) < 0)
        r = -ENOMEM;
    else
        while (sem_wait(&call.done) < 0)
            ; /* EINTR */
    sem_destroy(&call.done);
    return r;
}

void loop_stop(struct loop *loop)
{
    if (!loop->running)
        return;
    event_active(loop->stop, EV_TIMEOUT, 0);
    pthread_join(loop->thread, NULL);
    loop->running = false;
}

void loop_close(struct loop *loop)
{
    loop_stop(loop);
    if (loop->stop)
        event_free(loop->stop);
    if (loop->base)
        event_base_free(loop->base);
    *loop = (struct loop){0};
}
