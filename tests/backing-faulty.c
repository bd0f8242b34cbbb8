/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "backing-faulty.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "block-format.h"

#define OPS 3

struct queue {
    struct backing_io *head, **end;
};

struct faulty {
    struct backing backing;
    unsigned char *bytes;
    bool bytes_are_ours;
    uint64_t truncated;
    int wake_fd;
    struct event *wake;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct queue ready; /* to be answered by the loop; result in moved */
    struct queue held[OPS];
    unsigned held_count[OPS];
    struct {
        bool urgent, others;
    } holding[OPS]; /* I/O of so many bytes */
    unsigned fail_count[OPS];
    unsigned kill_count[OPS];
    enum faulty_when kill_when;
    int fail_result[OPS];
    unsigned count[OPS], done[OPS];
    unsigned illegal;
    void (*on_close)(void *opaque);
    void *on_close_opaque;
};

static bool is_to_be_held(const struct faulty *faulty, const struct backing_io *io)
{
    return io->urgent ? faulty->holding[io->op].urgent : faulty->holding[io->op].others;
}

static void push(struct queue *queue, struct backing_io *io)
{
    io->next = NULL;
    *queue->end = io;
    queue->end = &io->next;
}

static struct backing_io *pop(struct queue *queue)
{
    struct backing_io *io = queue->head;

    if (io) {
        queue->head = io->next;
        if (!queue->head)
            queue->end = &queue->head;
    }
    return io;
}

static bool is_legal(const struct faulty *faulty, const struct backing_io *io)
{
    return io->offset % BACKING_ALIGN == 0 && io->bytes % BACKING_ALIGN == 0 &&
           io->bytes > 0 && (uintptr_t)io->buffer % BACKING_ALIGN == 0 &&
           io->offset + io->bytes <= faulty->backing.bytes;
}

/* Does what IO says, now.  Called with the lock. */
static int perform(struct faulty *faulty, struct backing_io *io)
{
    switch (io->op) {
    case BACKING_READ:
        if (io->offset + io->bytes > faulty->truncated)
            return -EIO;
        memcpy(io->buffer, faulty->bytes + io->offset, io->bytes);
        break;
    case BACKING_WRITE:
        memcpy(faulty->bytes + io->offset, io->buffer, io->bytes);
        break;
    case BACKING_DISCARD:
        memset(faulty->bytes + io->offset, 0, io->bytes);
        break;
    }
    return 0;
}

/* Ends the process as faulty_kill() asked to. */
static void die(struct faulty *faulty, const struct backing_io *io)
{
    struct backing_io part = *io;

    if (faulty->kill_when == FAULTY_HALF)
        part.bytes /= 2;
    if (faulty->kill_when != FAULTY_BEFORE)
        perform(faulty, &part);
    kill(getpid(), SIGKILL);
}

/* The answer travels in moved, which is the backing store's own field. */
static void answer(struct faulty *faulty, struct backing_io *io, int result)
{
    if (result == 0)
        result = perform(faulty, io);
    io->moved = (uint32_t)-result;
    push(&faulty->ready, io);
    eventfd_write(faulty->wake_fd, 1);
}

static void submit(struct backing *backing, struct backing_io *io)
{
    struct faulty *faulty = (struct faulty *)backing;

    pthread_mutex_lock(&faulty->lock);
    faulty->count[io->op]++;
    pthread_cond_broadcast(&faulty->changed);
    if (faulty->kill_count[io->op] > 0 && --faulty->kill_count[io->op] == 0)
        die(faulty, io);
    if (!is_legal(faulty, io)) {
        faulty->illegal++;
        answer(faulty, io, -EINVAL);
    } else if (is_to_be_held(faulty, io)) {
        push(&faulty->held[io->op], io);
        faulty->held_count[io->op]++;
        pthread_cond_broadcast(&faulty->changed);
    } else if (faulty->fail_count[io->op] > 0) {
        faulty->fail_count[io->op]--;
        answer(faulty, io, faulty->fail_result[io->op]);
    } else
        answer(faulty, io, 0);
    pthread_mutex_unlock(&faulty->lock);
}

static void on_wake(evutil_socket_t fd, short what, void *opaque)
{
    struct faulty *faulty = opaque;
    eventfd_t ignored;

    (void)what;
    eventfd_read((int)fd, &ignored);
    for (;;) {
        pthread_mutex_lock(&faulty->lock);
        struct backing_io *io = pop(&faulty->ready);
        pthread_mutex_unlock(&faulty->lock);
        if (!io)
            return;
        enum backing_op op = io->op;
        io->done(io, -(int)io->moved);
        /* IO may be another one by now, or gone. */
        pthread_mutex_lock(&faulty->lock);
        faulty->done[op]++;
        pthread_cond_broadcast(&faulty->changed);
        pthread_mutex_unlock(&faulty->lock);
    }
}

static int start(struct backing *backing, struct event_base *base)
{
    struct faulty *faulty = (struct faulty *)backing;

    faulty->wake =
        event_new(base, faulty->wake_fd, EV_READ | EV_PERSIST, on_wake, faulty);
    return faulty->wake && event_add(faulty->wake, NULL) == 0 ? 0 : -ENOMEM;
}

static void close_faulty(struct backing *backing)
{
    struct faulty *faulty = (struct faulty *)backing;

    if (faulty->on_close)
        faulty->on_close(faulty->on_close_opaque);
    for (unsigned op = 0; op < OPS; op++)
        assert(!faulty->held[op].head);
    if (faulty->wake)
        event_free(faulty->wake);
    close(faulty->wake_fd);
    pthread_cond_destroy(&faulty->changed);
    pthread_mutex_destroy(&faulty->lock);
    if (faulty->bytes_are_ours)
        free(faulty->bytes);
    free(faulty);
}

static const struct backing_ops faulty_ops = {
    .name = "faulty",
    .start = start,
    .submit = submit,
    .close = close_faulty,
};

struct faulty *faulty_new(uint64_t bytes)
{
    struct faulty *faulty = faulty_new_in(calloc(1, bytes), bytes);

    faulty->bytes_are_ours = true;
    return faulty;
}

struct faulty *faulty_new_in(unsigned char *memory, uint64_t bytes)
{
    struct faulty *faulty = calloc(1, sizeof *faulty);

    assert(faulty && bytes % BACKING_ALIGN == 0);
    faulty->backing.ops = &faulty_ops;
    faulty->backing.bytes = faulty->truncated = bytes;
    faulty->bytes = memory;
    assert(faulty->bytes);
    backing_note_start(&faulty->backing, memory, bytes);
    faulty->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(faulty->wake_fd >= 0);
    pthread_mutex_init(&faulty->lock, NULL);
    pthread_cond_init(&faulty->changed, NULL);
    faulty->ready.end = &faulty->ready.head;
    for (unsigned op = 0; op < OPS; op++)
        faulty->held[op].end = &faulty->held[op].head;
    return faulty;
}

struct backing *faulty_backing(struct faulty *faulty)
{
    return &faulty->backing;
}

unsigned char *faulty_bytes(struct faulty *faulty)
{
    return faulty->bytes;
}

bool faulty_contains(struct faulty *faulty, const void *what, size_t bytes)
{
    pthread_mutex_lock(&faulty->lock);
    bool found = memmem(faulty->bytes, faulty->backing.bytes, what, bytes) != NULL;
    pthread_mutex_unlock(&faulty->lock);
    return found;
}

static void hold(struct faulty *faulty, enum backing_op op, bool urgent, bool others)
{
    pthread_mutex_lock(&faulty->lock);
    faulty->holding[op].urgent = urgent;
    faulty->holding[op].others = others;
    pthread_mutex_unlock(&faulty->lock);
}

void faulty_hold(struct faulty *faulty, enum backing_op op)
{
    hold(faulty, op, true, true);
}

void faulty_hold_fetches(struct faulty *faulty)
{
    hold(faulty, BACKING_READ, true, false);
}

void faulty_hold_cleaner(struct faulty *faulty)
{
    hold(faulty, BACKING_READ, false, true);
}

void faulty_wait_held(struct faulty *faulty, enum backing_op op, unsigned n)
{
    pthread_mutex_lock(&faulty->lock);
    while (faulty->held_count[op] < n)
        pthread_cond_wait(&faulty->changed, &faulty->lock);
    pthread_mutex_unlock(&faulty->lock);
}

void faulty_release(struct faulty *faulty, enum backing_op op, int result)
{
    struct backing_io *io;

    pthread_mutex_lock(&faulty->lock);
    faulty->holding[op].urgent = faulty->holding[op].others = false;
    while ((io = pop(&faulty->held[op]))) {
        faulty->held_count[op]--;
        answer(faulty, io, result);
    }
    pthread_mutex_unlock(&faulty->lock);
}

void faulty_fail(struct faulty *faulty, enum backing_op op, unsigned n, int result)
{
    pthread_mutex_lock(&faulty->lock);
    faulty->fail_count[op] = n;
    faulty->fail_result[op] = result;
    pthread_mutex_unlock(&faulty->lock);
}

void faulty_kill(struct faulty *faulty, enum backing_op op, unsigned n,
                 enum faulty_when when)
{
    pthread_mutex_lock(&faulty->lock);
    faulty->kill_count[op] = n;
    faulty->kill_when = when;
    pthread_mutex_unlock(&faulty->lock);
}

void faulty_truncate(struct faulty *faulty, uint64_t bytes)
{
    pthread_mutex_lock(&faulty->lock);
    faulty->truncated = bytes;
    pthread_mutex_unlock(&faulty->lock);
}

unsigned faulty_count(struct faulty *faulty, enum backing_op op)
{
    pthread_mutex_lock(&faulty->lock);
    unsigned count = faulty->count[op];
    pthread_mutex_unlock(&faulty->lock);
    return count;
}

void faulty_wait_count(struct faulty *faulty, enum backing_op op, unsigned n)
{
    pthread_mutex_lock(&faulty->lock);
    while (faulty->count[op] < n)
        pthread_cond_wait(&faulty->changed, &faulty->lock);
    pthread_mutex_unlock(&faulty->lock);
}

void faulty_wait_done(struct faulty *faulty, enum backing_op op, unsigned n)
{
    pthread_mutex_lock(&faulty->lock);
    while (faulty->done[op] < n)
        pthread_cond_wait(&faulty->changed, &faulty->lock);
    pthread_mutex_unlock(&faulty->lock);
}

unsigned faulty_wait_all_done(struct faulty *faulty)
{
    unsigned total = 0;

    pthread_mutex_lock(&faulty->lock);
    for (unsigned op = 0; op < OPS; op++) {
        unsigned submitted = faulty->count[op];

        while (faulty->done[op] < submitted)
            pthread_cond_wait(&faulty->changed, &faulty->lock);
        total += submitted;
    }
    pthread_mutex_unlock(&faulty->lock);
    return total;
}

void faulty_on_close(struct faulty *faulty, void (*fn)(void *opaque), void *opaque)
{
    faulty->on_close = fn;
    faulty->on_close_opaque = opaque;
}

unsigned faulty_illegal(struct faulty *faulty)
{
    pthread_mutex_lock(&faulty->lock);
    unsigned illegal = faulty->illegal;
    pthread_mutex_unlock(&faulty->lock);
    return illegal;
}
