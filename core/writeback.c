/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "writeback.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "evict.h"
#include "state.h"
#include "writeback-state.h"

#define TICK_MS 1000    /* when nothing ages by the clock */
#define TICK_IDLE_MS 50 /* when pages do */
#define STOP_MS 4000    /* for I/O under way to end */
#define STOP_POLL_MS 10

uint64_t writeback_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t writeback_bytes(uint64_t backing_bytes)
{
    return space_fixed_bytes(backing_bytes) + segment_set_bytes() +
           fetch_table_bytes() + CLEAN_BLOCKS * BLOCK_BYTES;
}

uint64_t writeback_state_bytes(const struct backing *backing)
{
    return backing->outlives_us ? space_writes_bytes(backing->bytes) : 0;
}

uint64_t writeback_fixed_bytes(const struct writeback *writeback)
{
    uint64_t bytes = writeback->space.region.bytes + writeback->segments.region.bytes +
                     writeback->fetches.region.bytes + writeback->cleaner.region.bytes;

    return writeback->space.writes.base
               ? bytes + space_writes_bytes(writeback->backing->bytes)
               : bytes;
}

int writeback_all(struct writeback *writeback)
{
    LOCK_FOR_SCOPE(&writeback->room_lock);
    uint64_t asked = ++writeback->all_asked;

    eventfd_write(writeback->wake_fd, 1);
    writeback->waiters++;
    while (writeback->all_done < asked)
        pthread_cond_wait(&writeback->room, &writeback->room_lock.mutex);
    writeback->waiters--;
    return writeback->all_result;
}

static void on_header_written(struct backing_io *io, int result)
{
    struct writeback *writeback = io->opaque;
    struct state *state = writeback->parts->state;
    const struct backing_header *header = io->buffer;

    writeback->header_busy = false;
    /* Before any slot refers to that store. */
    if (result == 0 && state)
        result = state_set_backing(state, header->identity);
    writeback->ready = result == 0;
    if (result < 0)
        evict_end_all(writeback, result);
    evict_note_result(writeback, result);
    evict_again_soon(writeback);
}

static void set_identity(struct writeback *writeback, const unsigned char *identity)
{
    writeback->segments.seed = writeback->fetches.seed = backing_seed(identity);
}

/* The first thing on the backing store: whose it is.  Made in the cleaner's buffer. */
static void write_header(struct writeback *writeback)
{
    struct backing_header *header =
        (struct backing_header *)writeback->cleaner.region.base;

    backing_header_make(header);
    set_identity(writeback, header->identity);
    writeback->header_io = (struct backing_io){
        .op = BACKING_WRITE,
        .offset = 0,
        .bytes = BACKING_ALIGN,
        .buffer = header,
        .done = on_header_written,
        .opaque = writeback,
    };
    writeback->header_busy = true;
    backing_submit(writeback->backing, &writeback->header_io);
}

static void try_to_stop(struct writeback *writeback)
{
    static const struct timeval again = {.tv_usec = STOP_POLL_MS * 1000};

    if (writeback->stop_ms == 0)
        writeback->stop_ms = writeback_now_ms();
    writeback->abandoned = !evict_is_idle(writeback);
    if (!writeback->abandoned || writeback_now_ms() - writeback->stop_ms >= STOP_MS)
        event_base_loopbreak(writeback->base);
    else
        event_add(writeback->retry, &again);
}

static void on_wake(evutil_socket_t fd, short what, void *opaque)
{
    struct writeback *writeback = opaque;
    eventfd_t ignored;

    (void)what;
    eventfd_read((int)fd, &ignored);
    writeback->poked = false;
    if (writeback->stopping) {
        try_to_stop(writeback);
        return;
    }
    if (!writeback->ready && !writeback->header_busy &&
        writeback_now_ms() >= writeback->retry_at_ms)
        write_header(writeback);
    evict_work(writeback);
}

static void on_tick(evutil_socket_t fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    struct writeback *writeback = opaque;

    writeback->tidy = true;
    if (writeback->space.held > 0 && writeback_now_ms() >= writeback->held_ms)
        space_let_go(&writeback->space);
    on_wake(writeback->wake_fd, 0, writeback);
}

static void on_retry(evutil_socket_t fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    on_wake(((struct writeback *)opaque)->wake_fd, 0, opaque);
}

static void on_cleaner_read(void *opaque)
{
    evict_again_soon(opaque);
}

/* -- Life. -- */

int writeback_open(struct parts *parts, struct backing *backing,
                   const struct writeback_policy *policy, bool lock_in_ram,
                   struct writeback **writeback)
{
    struct writeback *made = calloc(1, sizeof *made);
    pthread_condattr_t clock;
    int r = -ENOMEM;

    if (!made)
        return -ENOMEM;
    made->parts = parts;
    made->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made->wake_fd < 0)
        goto failed;
    if ((r = space_open(&made->space, backing->bytes, &parts->memory, lock_in_ram)) <
            0 ||
        (parts->state && backing->outlives_us &&
         (r = space_note_writes(&made->space, &parts->memory, lock_in_ram)) < 0) ||
        (r = segment_set_open(&made->segments, parts, &made->space, backing,
                              lock_in_ram)) < 0 ||
        (r = fetch_table_open(&made->fetches, parts, &made->space, backing,
                              lock_in_ram)) < 0 ||
        (r = cleaner_open(&made->cleaner, &made->segments, lock_in_ram)) < 0)
        goto failed;

    select_init(&made->select, parts);
    idle_init(&made->idle, parts, policy->idle_age_s, writeback_now_ms());
    budget_init(&made->budget, policy->bytes_per_day, writeback_now_ms());
    made->segments.done = evict_segment_done;
    made->segments.opaque = made;
    made->cleaner.wake = on_cleaner_read;
    made->cleaner.opaque = made;
    for (unsigned i = 0; i < DISCARDS_MAX; i++)
        made->discards[i].writeback = made;
    lock_init(&made->room_lock, LOCK_RANK_ROOM);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&made->room, &clock);
    pthread_condattr_destroy(&clock);
    made->backing = backing;
    made->is_known = parts->state && backing->has_identity &&
                     state_knows_backing(parts->state, backing->identity);
    *writeback = made;
    return 0;

failed:
    cleaner_close(&made->cleaner);
    fetch_table_close(&made->fetches);
    region_close(&made->segments.region);
    space_close(&made->space);
    if (made->wake_fd >= 0)
        close(made->wake_fd);
    free(made);
    return r;
}

static void *run(void *opaque)
{
    struct writeback *writeback = opaque;

    event_base_dispatch(writeback->base);
    return NULL;
}

int writeback_prepare(struct writeback *writeback)
{
    int r;

    if ((r = space_start(&writeback->space)) < 0 ||
        (r = segment_set_start(&writeback->segments)) < 0 ||
        (r = fetch_table_start(&writeback->fetches)) < 0 ||
        (r = cleaner_start(&writeback->cleaner)) < 0)
        return r;
    if (writeback->is_known) {
        space_adopt_begin(&writeback->space);
        set_identity(writeback, writeback->backing->identity);
        writeback->ready = true;
    } else
        space_forget_writes(&writeback->space);
    return 0;
}

int writeback_start(struct writeback *writeback)
{
    unsigned tick_ms = writeback->idle.unit_ms ? TICK_IDLE_MS : TICK_MS;
    const struct timeval tick = {.tv_sec = tick_ms / 1000,
                                 .tv_usec = tick_ms % 1000 * 1000};

    evthread_use_pthreads();
    writeback->base = event_base_new();
    if (!writeback->base)
        return -ENOMEM;
    writeback->tick = event_new(writeback->base, -1, EV_PERSIST, on_tick, writeback);
    writeback->wake = event_new(writeback->base, writeback->wake_fd,
                                EV_READ | EV_PERSIST, on_wake, writeback);
    writeback->retry = event_new(writeback->base, -1, 0, on_retry, writeback);
    if (!writeback->tick || !writeback->wake || !writeback->retry ||
        event_add(writeback->tick, &tick) < 0 || event_add(writeback->wake, NULL) < 0)
        return -ENOMEM;
    int r = writeback->backing->ops->start(writeback->backing, writeback->base);
    if (r < 0)
        return r;
    writeback->held_ms = writeback_now_ms() + writeback->backing->timeout_ms;
    if (!writeback->ready)
        write_header(writeback);

    /* Signals are the host's, and go to its threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = -pthread_create(&writeback->thread, NULL, run, writeback);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    writeback->running = r == 0;
    return r;
}

void writeback_stop(struct writeback *writeback)
{
    if (!writeback->running)
        return;
    writeback->stopping = true;
    eventfd_write(writeback->wake_fd, 1);
    pthread_join(writeback->thread, NULL);
    writeback->running = false;
    if (writeback->abandoned)
        return;
    if (writeback->filling)
        segment_abandon(writeback->filling);
    if (writeback->cleaning)
        segment_abandon(writeback->cleaning);
    if (writeback->cleaner.loaded)
        cleaner_drop(&writeback->cleaner);
}

void writeback_close(struct writeback *writeback)
{
    if (!writeback)
        return;
    writeback_stop(writeback);
    if (writeback->abandoned)
        return; /* a leak, for the moment that the process still has */
    writeback->backing->ops->close(writeback->backing);
    if (writeback->tick)
        event_free(writeback->tick);
    if (writeback->wake)
        event_free(writeback->wake);
    if (writeback->retry)
        event_free(writeback->retry);
    if (writeback->base)
        event_base_free(writeback->base);
    cleaner_close(&writeback->cleaner);
    fetch_table_close(&writeback->fetches);
    segment_set_close(&writeback->segments);
    space_close(&writeback->space);
    pthread_cond_destroy(&writeback->room);
    lock_destroy(&writeback->room_lock);
    close(writeback->wake_fd);
    free(writeback);
}

void writeback_ask(struct writeback *writeback, struct writeback_stats *stats)
{
    *stats = (struct writeback_stats){
        .evicted_pages = writeback->segments.evicted_objects,
        .evicted_bytes = writeback->segments.evicted_bytes,
        .written_bytes = writeback->segments.written_bytes,
        .used_bytes = (uint64_t)space_used_blocks(&writeback->space) * BLOCK_BYTES,
        .live_bytes = writeback->space.live_bytes,
        .blocks_cleaned = writeback->cleaner.cleaned,
        .failed_segments = writeback->segments.failed,
        .corrupt_objects = writeback->fetches.corrupt,
    };
}

int writeback_check(struct writeback *writeback)
{
    if (writeback->running || writeback->abandoned)
        return 0;
    return space_check(&writeback->space);
}

struct fetch_table *writeback_fetches(struct writeback *writeback)
{
    return &writeback->fetches;
}

struct space *writeback_space(struct writeback *writeback)
{
    return &writeback->space;
}
