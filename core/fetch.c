/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch.h"

#include <assert.h>
#include <errno.h>

#include "cleanup.h"
#include "clock.h"
#include "gate.h"
#include "latency.h"
#include "page.h"
#include "patience.h"

/* A split object takes two blocks. */
#define BUFFER_BYTES (2 * BLOCK_BYTES)

uint64_t fetch_table_bytes(void)
{
    return FETCHES_MAX * (uint64_t)BUFFER_BYTES;
}

int fetch_table_open(struct fetch_table *table, struct parts *parts,
                     struct space *space, struct backing *backing, bool lock_in_ram)
{
    table->parts = parts;
    table->space = space;
    table->backing = backing;
    int r = region_open(&table->region, REGION_PRIVATE, "zslot-fetches",
                        fetch_table_bytes(), &parts->memory, lock_in_ram);
    if (r < 0)
        return r;
    lock_init(&table->lock, LOCK_RANK_FETCH);
    clock_cond_init(&table->changed);
    return 0;
}

int fetch_table_start(struct fetch_table *table)
{
    int r = region_start(&table->region);
    if (r < 0)
        return r;
    r = region_commit(&table->region, 0, table->region.bytes);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < FETCHES_MAX; i++) {
        struct fetch *fetch = &table->fetches[i];

        fetch->table = table;
        fetch->buffer = (unsigned char *)table->region.base + i * BUFFER_BYTES;
        fetch->next = table->free;
        table->free = fetch;
        table->free_count++;
    }
    return 0;
}

void fetch_table_close(struct fetch_table *table)
{
    if (!table->region.base)
        return;
    pthread_cond_destroy(&table->changed);
    lock_destroy(&table->lock);
    region_close(&table->region);
}

static address_t address_of(const struct fetch *fetch)
{
    return (address_t){fetch->ticket.content.ref};
}

/* Whether what was read is the object that the ticket names. */
static int verify(struct fetch *fetch)
{
    const struct slot_content *content = &fetch->ticket.content;
    struct seal seal = fetch->table->seal;
    uint32_t slot = (uint32_t)fetch->ticket.slot;

    if (content->length == BLOCK_BYTES) {
        fetch->object = fetch->buffer;
        return raw_page_checksum(seal, slot, fetch->object) ==
                       address_checksum(address_of(fetch))
                   ? 0
                   : -EIO;
    }
    struct object_view view = {
        .block = (char *)fetch->buffer,
        .rest = (char *)fetch->buffer + BLOCK_BYTES,
        .offset = address_offset(address_of(fetch)),
    };
    struct object_header *header = (struct object_header *)(view.block + view.offset);

    if (!address_has_checksum(address_of(fetch), content->length, header->checksum) ||
        !object_holds(seal, slot, content->codec, content->length, view))
        return -EIO;
    fetch->object = object_join(content->length, view, header + 1);
    return 0;
}

static void release_locked(struct fetch *fetch)
{
    struct fetch_table *table = fetch->table;

    if (--fetch->users > 0)
        return;
    slot_ticket_close(&table->parts->slots, &fetch->ticket);
    fetch->state = FETCH_FREE;
    fetch->next = table->free;
    table->free = fetch;
    table->free_count++;
    pthread_cond_broadcast(&table->changed);
}

static void note_read(struct fetch *fetch, int result)
{
    struct fetch_table *table = fetch->table;
    bool corrupt = false;

    if (result == 0) {
        result = verify(fetch);
        corrupt = result < 0;
    } else {
        table->failed_err = -result;
        table->failed++;
        result = -EIO;
    }
    (void)gate(GATE_FETCH_READ, fetch->ticket.slot);

    /* The mark goes and the state changes as one, as seen by who looks for a fetch to
     * join. */
    LOCK_FOR_SCOPE(&table->lock);
    if (slot_end_fetching(&table->parts->slots, &fetch->ticket) < 0)
        result = -ESTALE;
    else
        table->corrupt += corrupt;
    space_unpin(table->space, address_of(fetch), fetch->ticket.content.length);
    fetch->result = result;
    fetch->state = FETCH_DONE;
    pthread_cond_broadcast(&table->changed);
    release_locked(fetch);
}

/* In the writeback thread, or that of any reader; of two blocks perhaps at the same time. */
static void on_read(struct backing_io *io, int result)
{
    struct fetch *fetch = io->opaque;

    if (result < 0)
        fetch->read_result = result;
    if (atomic_fetch_sub(&fetch->reads_left, 1) == 1)
        note_read(fetch, fetch->read_result);
}

/* Of BLOCKS from BLOCK on.  AWAITED: the caller waits for it next. */
static struct backing_io make_read(struct fetch *fetch, uint32_t block, uint32_t blocks,
                                   void *buffer, bool awaited)
{
    return (struct backing_io){
        .op = BACKING_READ,
        .offset = (uint64_t)block * BLOCK_BYTES,
        .bytes = blocks * BLOCK_BYTES,
        .buffer = buffer,
        .urgent = true,
        .awaited = awaited,
        .done = on_read,
        .opaque = fetch,
    };
}

/* Under the lock: who joins the fetch looks at its I/O. */
static void prepare_locked(struct fetch *fetch, bool awaited)
{
    struct object_place place =
        address_place(address_of(fetch), fetch->ticket.content.length);
    bool neighbours = place.rest_block == place.block + 1;

    fetch->io =
        make_read(fetch, place.block, neighbours ? 2 : 1, fetch->buffer, awaited);
    fetch->has_rest_io = place.rest_bytes > 0 && !neighbours;
    if (fetch->has_rest_io)
        fetch->rest_io =
            make_read(fetch, place.rest_block, 1, fetch->buffer + BLOCK_BYTES, awaited);
    fetch->reads_left = fetch->has_rest_io ? 2 : 1;
    fetch->read_result = 0;
}

static void submit(struct fetch *fetch)
{
    struct backing *backing = fetch->table->backing;

    backing_submit(backing, &fetch->io);
    if (fetch->has_rest_io)
        backing_submit(backing, &fetch->rest_io);
}

/* The address tells it from a stale fetch of the slot's former page, whose block is
 * pinned. */
static struct fetch *find_locked(struct fetch_table *table, slot_t slot,
                                 uint64_t address)
{
    for (unsigned i = 0; i < FETCHES_MAX; i++) {
        struct fetch *fetch = &table->fetches[i];

        if (fetch->state == FETCH_READING && fetch->ticket.slot == slot &&
            fetch->ticket.content.ref == address)
            return fetch;
    }
    return NULL;
}

/* Finds or makes a fetch for SLOT, unless that would leave less than RESERVE; *STARTED
 * when the caller must submit it.  Without a reserve the caller waits for it next. */
static int join_locked(struct fetch_table *table, slot_t slot, unsigned reserve,
                       struct fetch **fetch, bool *started, bool *warm)
{
    struct slot_content content;
    int r = -ESTALE;

    *started = false;
    if (!slot_lock(&table->parts->slots, slot, SLOT_INSPECT, &content))
        return -ESTALE;
    if (content.state == SLOT_STORED) {
        unsigned marks = slot_marks_locked(&table->parts->slots, slot);

        *warm = !(marks & SLOT_IDLE);
        slot_touch_locked(&table->parts->slots, slot);
        if (marks & SLOT_FETCHING) {
            *fetch = find_locked(table, slot, content.ref);
            assert(*fetch);
            (*fetch)->users++;
            r = 0;
        } else if (table->free_count > reserve) {
            *fetch = table->free;
            table->free_count--;
            slot_begin_fetching_locked(&table->parts->slots, slot, &(*fetch)->ticket);
            (*fetch)->ticket.content.units = content.units; /* before the touch */
            space_pin(table->space, (address_t){content.ref}, content.length);
            table->free = (*fetch)->next;
            (*fetch)->state = FETCH_READING;
            (*fetch)->users = 2; /* the caller and the I/O */
            prepare_locked(*fetch, reserve == 0);
            *started = true;
            r = 0;
        } else
            r = -EAGAIN;
    }
    slot_unlock(&table->parts->slots, slot);
    return r;
}

static void wait_locked(struct fetch_table *table, const struct timespec *until)
{
    pthread_cond_timedwait(&table->changed, &table->lock.mutex, until);
}

static struct patience patience_of(const struct fetch_table *table)
{
    return (struct patience){.left_ms = table->backing->timeout_ms};
}

/* -EIO, -ESHUTDOWN. */
static int go_on(struct fetch_table *table, struct patience *patience)
{
    int r = patience_go_on(patience, table->parts);

    return r == -ETIMEDOUT ? -EIO : r;
}

/* -EAGAIN: it is not done.  Another error: it is released. */
static int end_locked(struct fetch *fetch, int r)
{
    if (fetch->state == FETCH_DONE)
        r = fetch->result;
    else if (r == 0)
        return -EAGAIN;
    if (r < 0)
        release_locked(fetch);
    return r;
}

/* Calls done functions that are due, where the backing store can have it so. */
static bool help(struct fetch *fetch, const struct timespec *until)
{
    struct backing *backing = fetch->table->backing;

    return backing_wait(backing, &fetch->io, until) ||
           (fetch->has_rest_io && backing_wait(backing, &fetch->rest_io, until));
}

/* Completes reads itself, its own and others', where the backing store can have it so;
 * else it sleeps until somebody has. */
static int wait_until_done(struct fetch *fetch, struct patience *patience)
{
    struct fetch_table *table = fetch->table;
    int r = 0;

    for (;;) {
        struct timespec until;

        patience_slice(patience, &until);
        bool helped = help(fetch, &until);
        {
            LOCK_FOR_SCOPE(&table->lock);

            if (!helped && fetch->state == FETCH_READING)
                wait_locked(table, &until);
            r = end_locked(fetch, r);
        }
        if (r != -EAGAIN)
            return r;
        r = go_on(table, patience);
    }
}

/* All of it, for a free fetch and for the I/O, is within the one patience. */
int fetch_object(struct fetch_table *table, slot_t slot, struct fetch **fetch,
                 bool *warm, bool *joined)
{
    struct patience patience = patience_of(table);
    bool started;
    int r;

    patience_begin(&patience);
    for (;;) {
        struct timespec until;

        {
            LOCK_FOR_SCOPE(&table->lock);
            r = join_locked(table, slot, 0, fetch, &started, warm);
            if (r == -EAGAIN) {
                patience_slice(&patience, &until);
                wait_locked(table, &until);
            }
        }
        if (r != -EAGAIN)
            break;
        r = go_on(table, &patience);
        if (r < 0)
            break;
    }
    if (r < 0)
        return r;
    *joined = !started;
    if (started)
        submit(*fetch);
    (void)gate(GATE_FETCH_JOINED, slot);
    return wait_until_done(*fetch, &patience);
}

int fetch_begin(struct fetch_table *table, slot_t slot, struct fetch **fetch,
                bool *warm)
{
    bool started;
    int r;

    {
        LOCK_FOR_SCOPE(&table->lock);
        r = join_locked(table, slot, FETCHES_RESERVED, fetch, &started, warm);
    }
    if (r == 0 && started)
        submit(*fetch);
    return r;
}

int fetch_wait(struct fetch *fetch)
{
    struct patience patience = patience_of(fetch->table);

    (void)gate(GATE_FETCH_JOINED, fetch->ticket.slot);
    patience_begin(&patience);
    return wait_until_done(fetch, &patience);
}

void fetch_release(struct fetch *fetch)
{
    LOCK_FOR_SCOPE(&fetch->table->lock);

    release_locked(fetch);
}

bool fetch_wants_again(struct fetch *fetch, uint32_t offset, uint32_t bytes, bool warm)
{
    struct fetch_table *table = fetch->table;

    if (bytes == PAGE_BYTES)
        return warm; /* all of it: nothing of it is left to go on with */
    uint64_t now_ms = clock_now_ms();
    LOCK_FOR_SCOPE(&table->lock);
    return touch_is_new(&table->touches, fetch->ticket.slot, offset, bytes, now_ms) &&
           warm;
}

bool fetch_table_is_idle(struct fetch_table *table)
{
    LOCK_FOR_SCOPE(&table->lock);

    for (unsigned i = 0; i < FETCHES_MAX; i++)
        if (table->fetches[i].state == FETCH_READING)
            return false;
    return true;
}
