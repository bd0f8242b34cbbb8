/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "writeback.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "evict.h"
#include "gate.h"
#include "room.h"
#include "state.h"
#include "writeback-state.h"

#define TICK_MS 1000    /* when nothing ages by the clock */
#define TICK_IDLE_MS 50 /* when pages do */
#define STOP_MS 2500    /* for I/O under way to end */
#define STOP_POLL_MS 10

/* A system goes on sending what a connection of a killed process has queued for some 100 s. */
#define HOLD_MS_MIN 120000

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

/* -- Steering. -- */

static int add_tick(struct writeback *writeback)
{
    unsigned tick_ms = writeback->idle.unit_ms ? TICK_IDLE_MS : TICK_MS;
    const struct timeval tick = {.tv_sec = tick_ms / 1000,
                                 .tv_usec = tick_ms % 1000 * 1000};

    return event_add(writeback->tick, &tick);
}

void writeback_set_idle_age(struct writeback *writeback, uint32_t idle_age_s)
{
    idle_change(&writeback->idle, idle_age_s, clock_now_ms());
    add_tick(writeback);
}

void writeback_set_limit(struct writeback *writeback, uint64_t bytes_per_day)
{
    budget_change(&writeback->budget, bytes_per_day, clock_now_ms());
    writeback->budget_at_ms = 0;
    writeback->over_budget = false;
    evict_again_soon(writeback);
}

uint64_t writeback_room_bytes(struct writeback *writeback)
{
    const struct space *space = &writeback->space;
    uint64_t all = (uint64_t)space->blocks * BLOCK_BYTES, live = space->live_bytes;

    if (writeback->failed || writeback->backing->away || live > all)
        return 0;
    return all - live;
}

uint64_t writeback_budget_bytes(const struct writeback *writeback,
                                uint64_t bytes_per_day)
{
    struct budget budget = writeback->budget;
    uint64_t now_ms = clock_now_ms();

    if (budget.bytes_per_day != bytes_per_day)
        budget_change(&budget, bytes_per_day, now_ms);
    return budget_left_bytes(&budget, now_ms);
}

uint64_t writeback_age_unit_ms(const struct writeback *writeback)
{
    return writeback->idle.unit_ms;
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
        writeback_all_give_up(writeback, result);
    evict_note_result(writeback, result);
    evict_again_soon(writeback);
}

static void set_identity(struct writeback *writeback, const unsigned char *identity,
                         uint32_t format)
{
    writeback->segments.seal = writeback->fetches.seal = backing_seal(identity, format);
}

/* Until it has landed a header may land at any moment, even when this process is no more: the
 * next one writes the same again. */
static int make_header(struct state *state, struct backing_header *header)
{
    const unsigned char *begun = state ? state_begun_backing(state) : NULL;

    backing_header_make(header, begun);
    return state && !begun ? state_begin_backing(state, header->identity) : 0;
}

/* The first thing on the backing store: whose it is.  Made in the cleaner's buffer. */
static void write_header(struct writeback *writeback)
{
    struct backing_header *header =
        (struct backing_header *)writeback->cleaner.region.base;
    int r = make_header(writeback->parts->state, header);

    set_identity(writeback, header->identity, header->format);
    writeback->header_io = (struct backing_io){
        .op = BACKING_WRITE,
        .offset = 0,
        .bytes = BACKING_ALIGN,
        .buffer = header,
        .done = on_header_written,
        .opaque = writeback,
    };
    writeback->header_busy = true;
    if (r < 0) {
        on_header_written(&writeback->header_io, r);
        return;
    }
    backing_submit(writeback->backing, &writeback->header_io);
}

static void try_to_stop(struct writeback *writeback)
{
    static const struct timeval again = {.tv_usec = STOP_POLL_MS * 1000};

    if (writeback->stop_ms == 0)
        writeback->stop_ms = clock_now_ms();
    bool idle = evict_is_idle(writeback);
    if (!idle && clock_now_ms() - writeback->stop_ms < STOP_MS) {
        event_add(writeback->retry, &again);
        return;
    }
    LOCK_FOR_SCOPE(&writeback->room_lock);
    writeback->abandoned = !idle;
    writeback->stopped = true;
    pthread_cond_broadcast(&writeback->room);
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
    if (!writeback->begun)
        return;
    if (!writeback->ready && !writeback->header_busy &&
        clock_now_ms() >= writeback->retry_at_ms)
        write_header(writeback);
    evict_work(writeback);
}

static void look_for_news(struct writeback *writeback)
{
    const struct volume_host *host = &writeback->parts->host;
    const struct fetch_table *fetches = &writeback->fetches;
    const struct notice_view view = {
        .state = report_backing_state(writeback),
        .writes = writeback->failed_writes,
        .reads = {fetches->failed, fetches->failed_err},
        .checksums = {fetches->corrupt, EIO},
    };
    struct reason sentence;

    if (!host->say)
        return;
    while (notice_look(&writeback->notice, &view, clock_now_ms(), &sentence))
        host->say(host->opaque, sentence.text);
}

static void on_tick(evutil_socket_t fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    struct writeback *writeback = opaque;

    room_forget_useless(writeback, clock_now_ms());
    if (writeback->space.held > 0 && clock_now_ms() >= writeback->held_ms)
        space_let_go(&writeback->space);
    on_wake(writeback->wake_fd, 0, writeback);
    look_for_news(writeback);
}

void writeback_retry(struct writeback *writeback)
{
    writeback->retry_at_ms = 0;
    backing_retry(writeback->backing);
    evict_again_soon(writeback);
}

static void on_retry(evutil_socket_t fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    on_wake(((struct writeback *)opaque)->wake_fd, 0, opaque);
}

static void come_again(void *opaque)
{
    evict_again_soon(opaque);
}

/* -- Life. -- */

int writeback_open(struct parts *parts, struct backing *backing,
                   const struct writeback_policy *policy, bool lock_in_ram,
                   struct writeback **writeback)
{
    struct writeback *made = calloc(1, sizeof *made);
    int r = -ENOMEM;

    if (!made)
        return -ENOMEM;
    made->parts = parts;
    made->notice.state = BACKING_OK;
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
    idle_init(&made->idle, parts, policy->idle_age_s, clock_now_ms());
    budget_init(&made->budget, policy->bytes_per_day, clock_now_ms());
    made->segments.done = evict_segment_done;
    made->segments.opaque = made;
    made->cleaner.wake = come_again;
    made->cleaner.opaque = made;
    made->discards = (struct discards){
        .backing = backing,
        .space = &made->space,
        .wake = come_again,
        .opaque = made,
    };
    lock_init(&made->room_lock, LOCK_RANK_ROOM);
    clock_cond_init(&made->room);
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

/* What the backing store holds from before: a file shall not keep it allocated. */
static void note_content(struct writeback *writeback)
{
    struct backing *backing = writeback->backing;
    struct space *space = &writeback->space;
    uint32_t all = space->blocks + 1;
    uint64_t start, end = BLOCK_BYTES; /* behind the header */

    if (!backing->ops->next_content) {
        if (backing->has_identity)
            space_note_content(space, 1, all);
        return;
    }
    while (backing->ops->next_content(backing, end, &start, &end)) {
        uint64_t last = (end + BLOCK_BYTES - 1) / BLOCK_BYTES;

        space_note_content(space, (uint32_t)(start / BLOCK_BYTES),
                           last < all ? (uint32_t)last : all);
        end = last * BLOCK_BYTES;
    }
}

int writeback_prepare(struct writeback *writeback)
{
    int r;

    if ((r = space_start(&writeback->space)) < 0 ||
        (r = segment_set_start(&writeback->segments)) < 0 ||
        (r = fetch_table_start(&writeback->fetches)) < 0 ||
        (r = cleaner_start(&writeback->cleaner)) < 0)
        return r;
    note_content(writeback);
    if (writeback->is_known) {
        /* A header that was only begun had landed, as is seen by it. */
        int noted = state_begun_backing(writeback->parts->state)
                        ? state_set_backing(writeback->parts->state,
                                            writeback->backing->identity)
                        : 0;
        if (noted < 0)
            return noted;
        space_adopt_begin(&writeback->space);
        set_identity(writeback, writeback->backing->identity,
                     writeback->backing->format);
        writeback->ready = true;
    }
    return 0;
}

/* How long what a former process sent may be on its way: not less because reads are to fail
 * sooner. */
static uint64_t hold_ms(uint64_t timeout_ms)
{
    uint64_t least = gate(GATE_HOLD, 0) < 0 ? 0 : HOLD_MS_MIN;

    return timeout_ms > least ? timeout_ms : least;
}

int writeback_start(struct writeback *writeback, struct event_base *base)
{
    writeback->tick = event_new(base, -1, EV_PERSIST, on_tick, writeback);
    writeback->wake =
        event_new(base, writeback->wake_fd, EV_READ | EV_PERSIST, on_wake, writeback);
    writeback->retry = event_new(base, -1, 0, on_retry, writeback);
    if (!writeback->tick || !writeback->wake || !writeback->retry ||
        add_tick(writeback) < 0 || event_add(writeback->wake, NULL) < 0)
        return -ENOMEM;
    int r = writeback->backing->ops->start(writeback->backing, base);
    if (r < 0)
        return r;
    writeback->held_ms = clock_now_ms() + hold_ms(writeback->backing->timeout_ms);
    writeback->running = true;
    return 0;
}

void writeback_begin(struct writeback *writeback)
{
    if (!writeback->is_known)
        space_forget_writes(&writeback->space);
    if (writeback->backing->ops->keep)
        writeback->backing->ops->keep(writeback->backing);
    writeback->begun = true;
    on_wake(writeback->wake_fd, 0, writeback); /* which writes the header */
}

void writeback_stop(struct writeback *writeback)
{
    if (!writeback->running)
        return;
    writeback->stopping = true;
    eventfd_write(writeback->wake_fd, 1);
    LOCK_FOR_SCOPE(&writeback->room_lock);
    while (!writeback->stopped)
        pthread_cond_wait(&writeback->room, &writeback->room_lock.mutex);
}

static struct writeback *all_abandoned;

void writeback_close(struct writeback *writeback)
{
    if (!writeback)
        return;
    writeback->running = false;
    if (writeback->abandoned) {
        /* For the moment that the process still has; and for who looks for leaks. */
        writeback->next_abandoned = all_abandoned;
        all_abandoned = writeback;
        return;
    }
    if (writeback->filling)
        segment_abandon(writeback->filling);
    if (writeback->cleaning)
        segment_abandon(writeback->cleaning);
    if (writeback->cleaner.loaded)
        cleaner_drop(&writeback->cleaner);
    writeback->backing->ops->close(writeback->backing);
    if (writeback->tick)
        event_free(writeback->tick);
    if (writeback->wake)
        event_free(writeback->wake);
    if (writeback->retry)
        event_free(writeback->retry);
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
    unsigned segments_free = writeback->segments.free_count;

    *stats = (struct writeback_stats){
        .evicted_pages = writeback->segments.evicted_objects,
        .evicted_bytes = writeback->segments.evicted_bytes,
        .written_bytes = writeback->segments.written_bytes,
        .used_bytes = (uint64_t)space_used_blocks(&writeback->space) * BLOCK_BYTES,
        .live_bytes = writeback->space.live_bytes,
        .blocks_cleaned = writeback->cleaner.cleaned,
        .failed_segments = writeback->segments.failed,
        .corrupt_objects = writeback->fetches.corrupt,
        .free_bytes = (uint64_t)space_available(&writeback->space) * BLOCK_BYTES,
        .segments_in_use = SEGMENTS - segments_free,
        .segments_free = segments_free,
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
