/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "file-ring.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/falloc.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cleanup.h"
#include "gate.h"

#define ENTRIES_URGENT 64u /* as many as there are fetches */
#define ENTRIES_OTHERS 64u

/* What the kernel wants to be asked again is, after so long, and so many times in a row. */
#define PAUSE_MS 10
#define AGAIN_MAX 200

/* -- Lists. -- */

static void append(struct file_ring_list *list, struct backing_io *io)
{
    io->next = NULL;
    *list->end = io;
    list->end = &io->next;
}

static struct backing_io *take_first(struct file_ring_list *list)
{
    struct backing_io *io = list->head;

    if (io)
        list->head = io->next;
    if (!list->head)
        list->end = &list->head;
    return io;
}

/* -- One ring. -- */

static void wake_loop(struct file_rings *rings)
{
    eventfd_write(rings->wake_fd, 1);
}

/* What follows it in the ring begins after that.  Nobody is told of its own completion. */
static void prepare_pause_locked(struct file_ring *ring)
{
    static struct __kernel_timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

    assert(sqe);
    io_uring_prep_timeout(sqe, &pause, 0, 0);
    sqe->flags |=
        IOSQE_IO_HARDLINK; /* its end counts as an error, which must not matter */
    io_uring_sqe_set_data(sqe, NULL);
}

/* Tells the kernel of what is in the submission queue; what it does not take stays there. */
static void submit_locked(struct file_ring *ring)
{
    if (gate(GATE_FILE_SUBMIT, 0) == 0)
        (void)io_uring_submit(&ring->uring);
}

static void prepare_locked(struct file_rings *rings, struct file_ring *ring,
                           struct backing_io *io)
{
    if (io->again > 0)
        prepare_pause_locked(ring);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    unsigned left = io->bytes - io->moved;
    uint64_t offset = io->offset + io->moved;

    assert(sqe); /* entries bounds under_way, and each is submitted at once */
    switch (io->op) {
    case BACKING_READ:
        io_uring_prep_read(sqe, rings->fd, (char *)io->buffer + io->moved, left,
                           offset);
        break;
    case BACKING_WRITE:
        io_uring_prep_write(sqe, rings->fd, (char *)io->buffer + io->moved, left,
                            offset);
        break;
    case BACKING_DISCARD:
        io_uring_prep_fallocate(sqe, rings->fd,
                                FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                (off_t)io->offset, io->bytes);
        break;
    }
    io_uring_sqe_set_data(sqe, io);
    ring->under_way++;
    submit_locked(ring);
    /* After EINTR or EAGAIN the next call takes it along; the wake-up makes sure that there is one. */
    if (io_uring_sq_ready(&ring->uring))
        wake_loop(rings);
}

/* Puts into the ring what waits and may. */
static void prepare_waiting_locked(struct file_rings *rings, struct file_ring *ring)
{
    while (ring->waiting.head && ring->under_way < ring->entries)
        prepare_locked(rings, ring, take_first(&ring->waiting));
}

/* What became of IO.  False: the rest of it must be submitted. */
static bool is_finished(struct backing_io *io, int moved)
{
    io->result = 0;
    if (io->op == BACKING_DISCARD) {
        /* Space that cannot be given back is used again all the same. */
        if (moved < 0 && moved != -EOPNOTSUPP && moved != -EINTR)
            io->result = moved;
        return true;
    }
    /* Cancelled: the thread that submitted it has ended before it was begun. */
    if (moved == -EINTR || moved == -EAGAIN || moved == -ECANCELED) {
        io->result = -EIO;
        return ++io->again > AGAIN_MAX;
    }
    io->again = 0;
    if (moved <= 0) {
        io->result =
            moved < 0 ? moved : -EIO; /* past the end: somebody truncated the file */
        return true;
    }
    io->moved += (uint32_t)moved;
    return io->moved == io->bytes;
}

/* Moves what has completed to DONE, and submits what it made room for. */
static void take_completions_locked(struct file_rings *rings, struct file_ring *ring,
                                    struct file_ring_list *done)
{
    struct io_uring_cqe *cqe;

    if (io_uring_sq_ready(&ring->uring))
        submit_locked(ring);
    while (io_uring_peek_cqe(&ring->uring, &cqe) == 0) {
        struct backing_io *io = io_uring_cqe_get_data(cqe);
        int failed = io ? gate(GATE_FILE_MOVED, io->offset) : 0;
        bool finished = io && is_finished(io, failed < 0 ? failed : cqe->res);

        io_uring_cqe_seen(&ring->uring, cqe);
        if (!io)
            continue; /* a pause */
        ring->under_way--;
        if (finished) {
            io->under_way = false;
            append(done, io);
        } else
            prepare_locked(rings, ring, io);
    }
    prepare_waiting_locked(rings, ring);
}

static bool run_done(struct file_ring_list *done)
{
    bool any = done->head != NULL;

    for (struct backing_io *io; (io = take_first(done));)
        io->done(io, io->result);
    return any;
}

/* -- The loop. -- */

/* False: nothing has completed.  *LEFT: the kernel still does not take all, and there will be no event for it. */
static bool complete(struct file_rings *rings, struct file_ring *ring, bool *left)
{
    struct file_ring_list done = {.end = &done.head};

    {
        LOCK_FOR_SCOPE(&ring->lock);
        if (!ring->has_waiter)
            take_completions_locked(rings, ring, &done);
        else if (io_uring_sq_ready(&ring->uring))
            submit_locked(ring);
        *left |= io_uring_sq_ready(&ring->uring) > 0;
    }
    return run_done(&done);
}

static void complete_all(struct file_rings *rings)
{
    static const struct timeval pause = {.tv_usec = PAUSE_MS * 1000};
    bool left = false;

    for (bool any = true; any;) {
        left = false;
        any = complete(rings, &rings->urgent, &left);
        any |= complete(rings, &rings->others, &left);
    }
    if (left)
        event_add(rings->again, &pause);
}

static void on_wake(evutil_socket_t fd, short what, void *opaque)
{
    eventfd_t ignored;

    (void)what;
    eventfd_read((int)fd, &ignored);
    complete_all(opaque);
}

static void on_again(evutil_socket_t fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    complete_all(opaque);
}

/* -- Who waits. -- */

void file_rings_submit(struct file_rings *rings, struct backing_io *io)
{
    struct file_ring *ring = io->urgent ? &rings->urgent : &rings->others;
    bool awaited = io->awaited && ring->can_wait;
    LOCK_FOR_SCOPE(&ring->lock);

    /* With nothing under way it can be switched off without losing anything. */
    if (!awaited && !ring->has_waiter)
        io_uring_cq_eventfd_toggle(&ring->uring, true);
    else if (ring->under_way == 0)
        io_uring_cq_eventfd_toggle(&ring->uring, false);
    io->under_way = true;
    append(&ring->waiting, io);
    prepare_waiting_locked(rings, ring);
}

/* What is left of the time, at least 0. */
static struct __kernel_timespec until(const struct timespec *deadline)
{
    struct timespec now;
    struct __kernel_timespec left = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ns = (int64_t)(deadline->tv_sec - now.tv_sec) * 1000000000 +
                 (deadline->tv_nsec - now.tv_nsec);
    if (ns > 0) {
        left.tv_sec = ns / 1000000000;
        left.tv_nsec = ns % 1000000000;
    }
    return left;
}

/* Until something has completed.  False: not in time. */
static bool wait_in_kernel(struct file_ring *ring, const struct timespec *deadline)
{
    struct __kernel_timespec left = until(deadline);
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&left};

    if (left.tv_sec == 0 && left.tv_nsec == 0)
        return false;
    (void)io_uring_enter2((unsigned)ring->uring.ring_fd, 0, 1,
                          IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                          (sigset_t *)&arg, sizeof arg);
    return true; /* whatever ended it: the caller looks */
}

bool file_rings_wait(struct file_rings *rings, struct backing_io *io,
                     const struct timespec *deadline)
{
    struct file_ring *ring = &rings->urgent;
    struct file_ring_list done = {.end = &done.head};
    bool in_time = true;

    lock_take(&ring->lock);
    if (!io->under_way || ring->has_waiter || !ring->can_wait) {
        lock_release(&ring->lock);
        return false;
    }
    ring->has_waiter = true;
    io_uring_cq_eventfd_toggle(&ring->uring, false);
    take_completions_locked(rings, ring, &done);
    while (!done.head && in_time) {
        lock_release(&ring->lock);
        in_time = wait_in_kernel(ring, deadline);
        lock_take(&ring->lock);
        take_completions_locked(rings, ring, &done);
    }
    ring->has_waiter = false;
    if (ring->under_way > 0) {
        io_uring_cq_eventfd_toggle(&ring->uring, true);
        /* What completed just before that has signalled nobody. */
        if (io_uring_cq_ready(&ring->uring))
            wake_loop(rings);
    }
    lock_release(&ring->lock);
    run_done(&done);
    return true;
}

/* -- Life. -- */

int file_rings_try(void)
{
    struct io_uring uring;
    int r = io_uring_queue_init(1, &uring, 0);

    if (r == 0)
        io_uring_queue_exit(&uring);
    return r;
}

int file_rings_open(struct file_rings *rings, int fd)
{
    *rings = (struct file_rings){.fd = fd};
    rings->urgent.entries = ENTRIES_URGENT;
    rings->others.entries = ENTRIES_OTHERS;
    rings->urgent.waiting.end = &rings->urgent.waiting.head;
    rings->others.waiting.end = &rings->others.waiting.head;
    lock_init(&rings->urgent.lock, LOCK_RANK_BACKING);
    lock_init(&rings->others.lock, LOCK_RANK_BACKING);
    rings->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return rings->wake_fd < 0 ? -errno : 0;
}

static int start_ring(struct file_rings *rings, struct file_ring *ring)
{
    int r = io_uring_queue_init(2 * ring->entries, &ring->uring, 0); /* with pauses */

    if (r < 0)
        return r;
    ring->is_ready = true;
    ring->can_wait = ring->uring.features & IORING_FEAT_EXT_ARG;
    return io_uring_register_eventfd(&ring->uring, rings->wake_fd);
}

int file_rings_start(struct file_rings *rings, struct event_base *base)
{
    int r;

    if ((r = start_ring(rings, &rings->urgent)) < 0 ||
        (r = start_ring(rings, &rings->others)) < 0)
        return r;
    rings->wake = event_new(base, rings->wake_fd, EV_READ | EV_PERSIST, on_wake, rings);
    rings->again = evtimer_new(base, on_again, rings);
    return rings->wake && rings->again && event_add(rings->wake, NULL) == 0 ? 0
                                                                            : -ENOMEM;
}

static void close_ring(struct file_ring *ring)
{
    assert(ring->under_way == 0);
    if (ring->is_ready)
        io_uring_queue_exit(&ring->uring);
    lock_destroy(&ring->lock);
}

void file_rings_close(struct file_rings *rings)
{
    if (rings->wake)
        event_free(rings->wake);
    if (rings->again)
        event_free(rings->again);
    close_ring(&rings->urgent);
    close_ring(&rings->others);
    if (rings->wake_fd >= 0)
        close(rings->wake_fd);
}
