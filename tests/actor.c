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
static unsigned
    users; /* of the hook, the test's thread only: actors not joined, a halt, a watch */

/* Guarded by mutex. */
static struct {
    bool armed;
    enum gate point;
    uint64_t slot;
    bool is_stopped;
} halt;

static struct {
    bool armed;
    enum gate point;
    uint64_t slot;
    unsigned count;
} watch;

/* The actor that this thread is. */
static __thread struct actor *self;

static void move_to(struct actor *actor, enum progress progress)
{
    actor->progress = progress;
    pthread_cond_broadcast(&moved);
}

static void halt_or_count(enum gate point, uint64_t slot)
{
    pthread_mutex_lock(&mutex);
    if (watch.armed && point == watch.point &&
        (watch.slot == HALT_ANY_SLOT || watch.slot == slot)) {
        watch.count++;
        pthread_cond_broadcast(&moved);
    }
    if (halt.armed && !halt.is_stopped && point == halt.point &&
        (halt.slot == HALT_ANY_SLOT || halt.slot == slot)) {
        halt.is_stopped = true;
        pthread_cond_broadcast(&moved);
        while (halt.armed)
            pthread_cond_wait(&moved, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

static int stop_hook(enum gate point, uint64_t slot, void *opaque)
{
    (void)opaque;
    halt_or_count(point, slot);
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

static void use_hook(void)
{
    if (users++ == 0)
        gate_set_hook(stop_hook, NULL);
}

static void leave_hook(void)
{
    if (--users == 0)
        gate_set_hook(NULL, NULL);
}

static struct actor *make(enum gate point, actor_fn *fn, void *opaque,
                          enum progress progress)
{
    struct actor *actor = calloc(1, sizeof *actor);

    ck_assert_ptr_nonnull(actor);
    actor->point = point;
    actor->fn = fn;
    actor->opaque = opaque;
    actor->progress = progress;
    use_hook();
    ck_assert_int_eq(pthread_create(&actor->thread, NULL, run, actor), 0);
    return actor;
}

struct actor *actor_start(actor_fn *fn, void *opaque)
{
    /* Who is GOING stops at no gate. */
    return make(GATE_WRITE_BUILT, fn, opaque, GOING);
}

struct actor *actor_stop(enum gate point, actor_fn *fn, void *opaque)
{
    struct actor *actor = make(point, fn, opaque, RUNNING);

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
    leave_hook();
}

void halt_at(enum gate point, uint64_t slot)
{
    pthread_mutex_lock(&mutex);
    halt.armed = true;
    halt.is_stopped = false;
    halt.point = point;
    halt.slot = slot;
    pthread_mutex_unlock(&mutex);
    use_hook();
}

void halt_wait(void)
{
    pthread_mutex_lock(&mutex);
    while (!halt.is_stopped)
        pthread_cond_wait(&moved, &mutex);
    pthread_mutex_unlock(&mutex);
}

void halt_go(void)
{
    pthread_mutex_lock(&mutex);
    halt.armed = false;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&mutex);
    leave_hook();
}

void watch_from(enum gate point, uint64_t slot)
{
    pthread_mutex_lock(&mutex);
    watch.armed = true;
    watch.count = 0;
    watch.point = point;
    watch.slot = slot;
    pthread_mutex_unlock(&mutex);
    use_hook();
}

void watch_wait(unsigned n)
{
    pthread_mutex_lock(&mutex);
    while (watch.count < n)
        pthread_cond_wait(&moved, &mutex);
    pthread_mutex_unlock(&mutex);
}

void watch_end(void)
{
    pthread_mutex_lock(&mutex);
    watch.armed = false;
    pthread_mutex_unlock(&mutex);
    leave_hook();
}

void actor_race(enum gate point, actor_fn *first, actor_fn *second, void *opaque)
{
    struct actor *actor = actor_stop(point, first, opaque);

    second(opaque);
    actor_go(actor);
}
