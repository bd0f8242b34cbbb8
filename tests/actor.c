/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "harness.h"

#include <pthread.h>
#include <stdlib.h>

/* RUNNING --the gate--> STOPPED --actor_go()--> GOING --> ENDED; or straight to ENDED. */
enum progress { RUNNING, STOPPED, GOING, ENDED };

struct actor {
    pthread_t thread;
    enum gate point;
    actor_fn *fn;
    void *opaque;
    uint64_t slot;
    enum progress progress; /* guarded by mutex */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static unsigned actors; /* that have not been joined; the test's thread only */

/* The actor that this thread is. */
static __thread struct actor *self;

static void move_to(struct actor *actor, enum progress progress)
{
    actor->progress = progress;
    pthread_cond_broadcast(&moved);
}

static int stop_hook(enum gate point, uint64_t slot, void *opaque)
{
    (void)opaque;
    if (!self || self->point != point)
        return 0;

    pthread_mutex_lock(&mutex);
    if (self->progress == RUNNING) {
        self->slot = slot;
        move_to(self, STOPPED);
        while (self->progress == STOPPED)
            pthread_cond_wait(&moved, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    return 0;
}

static void *run(void *opaque)
{
    self = opaque;
    self->fn(self->opaque);
    pthread_mutex_lock(&mutex);
    move_to(self, ENDED);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

struct actor *actor_stop(enum gate point, actor_fn *fn, void *opaque)
{
    struct actor *actor = calloc(1, sizeof *actor);

    ck_assert_ptr_nonnull(actor);
    actor->point = point;
    actor->fn = fn;
    actor->opaque = opaque;
    if (actors++ == 0)
        gate_set_hook(stop_hook, NULL);
    ck_assert_int_eq(pthread_create(&actor->thread, NULL, run, actor), 0);

    pthread_mutex_lock(&mutex);
    while (actor->progress == RUNNING)
        pthread_cond_wait(&moved, &mutex);
    enum progress progress = actor->progress;
    pthread_mutex_unlock(&mutex);
    ck_assert_msg(progress == STOPPED, "the actor ended and was never at gate %d",
                  (int)point);
    return actor;
}

uint64_t actor_slot(const struct actor *actor)
{
    return actor->slot;
}

void actor_go(struct actor *actor)
{
    pthread_mutex_lock(&mutex);
    move_to(actor, GOING);
    pthread_mutex_unlock(&mutex);
    pthread_join(actor->thread, NULL);
    free(actor);
    if (--actors == 0)
        gate_set_hook(NULL, NULL);
}

void actor_race(enum gate point, actor_fn *first, actor_fn *second, void *opaque)
{
    struct actor *actor = actor_stop(point, first, opaque);

    second(opaque);
    actor_go(actor);
}
