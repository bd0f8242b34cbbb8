/* backing-nbd.c - an export of an NBD server, by libnbd
 *
 * Owns:    the connections, and the I/O that waits for one.
 * Called:  as backing.h says.
 * Locks:   LOCK_RANK_BACKING, for what has been submitted and not yet looked at.
 * Never:   calls libnbd outside the thread of the loop, but at open.
 *
 * Submitting puts an I/O into a list and wakes the loop, where everything else happens,
 * done functions last: what they submit is seen to in the loop's next turn.
 *
 * Reads go before all else, since each is somebody's page fault.
 *
 * An I/O waits for TIMEOUT_MS, on its way or for a connection, and is -EIO then; one that is not urgent, as long as that
 * each for the one and the other.  But not
 * a write or a discard that a server may have: it is sent until a server answers.  Were
 * it called failed, its segment would be filled with something else, and a server that
 * hung, and had the old request all the time, could carry it out over the new one.  The
 * same request twice does no harm by itself; but a server that hangs for longer than
 * TIMEOUT_MS, while another connection to it works, can carry out the first after the
 * block was filled anew, which shows as objects that fail their checksum.  NBD has no
 * means against that.  Writers are told by AWAY that nothing leaves RAM meanwhile.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "backing.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "block-format.h"
#include "cleanup.h"
#include "clock.h"
#include "nbd-link.h"
#include "nbd-probe.h"

/* To a server that keeps them coherent (NBD_FLAG_CAN_MULTI_CONN). */
#define LINKS_MAX 4

struct queue {
    struct backing_io *head, **end;
};

struct nbd {
    struct backing backing;
    char *uri;

    struct lock lock;
    struct queue submitted; /* guarded by lock */
    int wake_fd;            /* an eventfd: something is there */

    /* The loop's own. */
    struct event *wake, *timer;
    uint64_t timer_ms; /* when it goes off; UINT64_MAX: it does not */
    struct link_shared shared;
    struct link links[LINKS_MAX];
    unsigned link_count;
    uint64_t up_ms; /* when there was a connection last */
    bool was_up;    /* as note_away() saw it last */
    struct queue urgent, others, answered;
};

static void put_last(struct queue *queue, struct backing_io *io)
{
    io->next = NULL;
    *queue->end = io;
    queue->end = &io->next;
}

static void put_first(struct queue *queue, struct backing_io *io)
{
    io->next = queue->head;
    queue->head = io;
    if (!io->next)
        queue->end = &io->next;
}

/* Takes out the one that AT points to. */
static struct backing_io *take_at(struct queue *queue, struct backing_io **at)
{
    struct backing_io *io = *at;

    *at = io->next;
    if (!io->next)
        queue->end = at;
    return io;
}

static struct queue *queue_for(struct nbd *nbd, const struct backing_io *io)
{
    return io->urgent ? &nbd->urgent : &nbd->others;
}

/* -- What a connection says. -- */

static void on_finished(void *opaque, struct backing_io *io, int result)
{
    struct nbd *nbd = opaque;

    io->result = result;
    put_last(&nbd->answered, io);
}

static void on_returned(void *opaque, struct backing_io *io)
{
    put_first(queue_for(opaque, io), io);
}

/* -- What there is to do. -- */

static struct link *choose_link(struct nbd *nbd, enum backing_op op)
{
    struct link *best = NULL;
    unsigned load, least = 0;

    for (unsigned i = 0; i < nbd->link_count; i++)
        if (link_takes(&nbd->links[i], op, &load) && (!best || load < least)) {
            best = &nbd->links[i];
            least = load;
        }
    return best;
}

static bool try_send(struct nbd *nbd, struct queue *queue)
{
    struct link *link = queue->head ? choose_link(nbd, queue->head->op) : NULL;

    if (link)
        link_send(link, take_at(queue, &queue->head));
    return link;
}

/* A connection that turns out to be lost gives back what it had, urgent I/O too. */
static void send_all(struct nbd *nbd)
{
    while (try_send(nbd, &nbd->urgent) || try_send(nbd, &nbd->others))
        ;
}

/* Whether IO may be answered without a server's word: see the top. */
static bool may_give_up(const struct backing_io *io)
{
    return io->op == BACKING_READ || !io->sent;
}

static void give_up_overdue(struct nbd *nbd, struct queue *queue, uint64_t now_ms)
{
    struct backing_io **at = &queue->head;

    while (*at) {
        struct backing_io *io = *at;

        if (may_give_up(io) && now_ms >= io->since_ms + nbd->backing.timeout_ms) {
            io = take_at(queue, at);
            on_finished(nbd, io, -EIO);
        } else
            at = &io->next;
    }
}

static bool is_busy(const struct nbd *nbd)
{
    for (unsigned i = 0; i < nbd->link_count; i++)
        if (nbd->links[i].reads || nbd->links[i].others)
            return true;
    return nbd->urgent.head || nbd->others.head;
}

static void note_away(struct nbd *nbd, uint64_t now_ms)
{
    bool is_up = false;

    for (unsigned i = 0; i < nbd->link_count; i++)
        is_up |= nbd->links[i].state == LINK_UP;
    /* While nothing happens nobody comes here: it was up until just now. */
    if (is_up || nbd->was_up)
        nbd->up_ms = now_ms;
    nbd->was_up = is_up;
    bool away = now_ms >= nbd->up_ms + nbd->backing.timeout_ms;
    if (away != nbd->backing.away)
        nbd->backing.away = away;
}

/* While something is under way, often enough that it is not much overdue. */
static void set_timer(struct nbd *nbd, uint64_t now_ms)
{
    uint64_t next = UINT64_MAX, grain = nbd->backing.timeout_ms / 20;

    for (unsigned i = 0; i < nbd->link_count; i++) {
        uint64_t due = link_next_ms(&nbd->links[i]);

        if (due < next)
            next = due;
    }
    if (is_busy(nbd) && now_ms + grain < next)
        next = now_ms + grain;
    if (next >= nbd->timer_ms)
        return;
    uint64_t wait = next > now_ms ? next - now_ms : 0;
    const struct timeval delay = {.tv_sec = (time_t)(wait / 1000),
                                  .tv_usec = (suseconds_t)(wait % 1000 * 1000)};
    if (event_add(nbd->timer, &delay) == 0)
        nbd->timer_ms = next;
}

/* The end of every event. */
static void go_on(void *opaque)
{
    struct nbd *nbd = opaque;

    send_all(nbd);
    uint64_t now_ms = clock_now_ms();
    note_away(nbd, now_ms);
    set_timer(nbd, now_ms);
    while (nbd->answered.head) {
        struct backing_io *io = take_at(&nbd->answered, &nbd->answered.head);

        io->done(io, io->result);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *opaque)
{
    struct nbd *nbd = opaque;
    uint64_t now_ms = clock_now_ms();

    (void)fd;
    (void)what;
    nbd->timer_ms = UINT64_MAX;
    for (unsigned i = 0; i < nbd->link_count; i++)
        link_expire(&nbd->links[i], now_ms);
    give_up_overdue(nbd, &nbd->urgent, now_ms);
    give_up_overdue(nbd, &nbd->others, now_ms);
    go_on(nbd);
}

static void on_wake(evutil_socket_t fd, short what, void *opaque)
{
    struct nbd *nbd = opaque;
    struct backing_io *io;
    eventfd_t ignored;

    (void)what;
    eventfd_read((int)fd, &ignored);
    {
        LOCK_FOR_SCOPE(&nbd->lock);
        io = nbd->submitted.head;
        nbd->submitted.head = NULL;
        nbd->submitted.end = &nbd->submitted.head;
    }
    while (io) {
        struct backing_io *next = io->next;

        put_last(queue_for(nbd, io), io);
        io = next;
    }
    go_on(nbd);
}

static void nbd_submit(struct backing *backing, struct backing_io *io)
{
    struct nbd *nbd = (struct nbd *)backing;
    bool was_empty;

    io->since_ms = clock_now_ms();
    io->sent = false;
    {
        LOCK_FOR_SCOPE(&nbd->lock);
        was_empty = !nbd->submitted.head;
        put_last(&nbd->submitted, io);
    }
    if (was_empty)
        eventfd_write(nbd->wake_fd, 1);
}

/* -- Life. -- */

static int nbd_start(struct backing *backing, struct event_base *base)
{
    struct nbd *nbd = (struct nbd *)backing;
    const struct timeval now = {0};

    nbd->shared.base = base;
    for (unsigned i = 0; i < nbd->link_count; i++)
        if (link_open(&nbd->links[i], &nbd->shared) < 0)
            return -ENOMEM;
    nbd->up_ms = clock_now_ms();
    nbd->wake = event_new(base, nbd->wake_fd, EV_READ | EV_PERSIST, on_wake, nbd);
    nbd->timer = event_new(base, -1, 0, on_timer, nbd);
    if (!nbd->wake || !nbd->timer || event_add(nbd->wake, NULL) < 0 ||
        event_add(nbd->timer, &now) < 0)
        return -ENOMEM;
    return 0;
}

static void nbd_close_backing(struct backing *backing)
{
    struct nbd *nbd = (struct nbd *)backing;

    assert(!nbd->submitted.head && !nbd->urgent.head && !nbd->others.head &&
           !nbd->answered.head);
    for (unsigned i = 0; i < LINKS_MAX; i++)
        link_close(&nbd->links[i]);
    if (nbd->wake)
        event_free(nbd->wake);
    if (nbd->timer)
        event_free(nbd->timer);
    if (nbd->wake_fd >= 0)
        close(nbd->wake_fd);
    lock_destroy(&nbd->lock);
    free(nbd->uri);
    free(nbd);
}

static void nbd_retry(struct backing *backing)
{
    struct nbd *nbd = (struct nbd *)backing;

    for (unsigned i = 0; i < nbd->link_count; i++)
        link_hurry(&nbd->links[i]);
    on_timer(-1, EV_TIMEOUT, nbd);
}

static const struct backing_ops nbd_ops = {
    .name = "nbd",
    .start = nbd_start,
    .submit = nbd_submit,
    .retry = nbd_retry,
    .close = nbd_close_backing,
};

int backing_nbd_open(const char *uri, const struct backing_terms *terms,
                     struct backing **backing, struct reason *reason)
{
    struct probe probe;
    int r = probe_server(uri, terms, &probe, reason);
    if (r < 0)
        return r;

    struct nbd *nbd = calloc(1, sizeof *nbd);
    if (!nbd)
        return reason_say(reason, -ENOMEM, "backing=%s: no memory", uri);
    uint64_t bytes = terms->bytes ? terms->bytes : probe.export.bytes;
    nbd->backing.ops = &nbd_ops;
    nbd->backing.bytes = bytes / BACKING_ALIGN * BACKING_ALIGN;
    nbd->backing.timeout_ms = terms->timeout_ms;
    nbd->submitted.end = &nbd->submitted.head;
    nbd->urgent.end = &nbd->urgent.head;
    nbd->others.end = &nbd->others.head;
    nbd->answered.end = &nbd->answered.head;
    nbd->timer_ms = UINT64_MAX;
    lock_init(&nbd->lock, LOCK_RANK_BACKING);
    nbd->uri = strdup(uri);
    nbd->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    nbd->link_count = probe.export.can_multi_conn ? LINKS_MAX : 1;
    nbd->shared = (struct link_shared){
        .uri = nbd->uri,
        .bytes = nbd->backing.bytes,
        .is_several = nbd->link_count > 1,
        .timeout_ms = terms->timeout_ms,
        .start_known = true,
        .finished = on_finished,
        .returned = on_returned,
        .changed = go_on,
        .opaque = nbd,
    };
    memcpy(nbd->shared.start, probe.start, sizeof probe.start);
    backing_note_start(&nbd->backing, probe.start, sizeof probe.start);
    nbd->backing.outlives_us = true;
    if (!nbd->uri || nbd->wake_fd < 0) {
        r = reason_say(reason, -errno, "backing=%s: no memory, or no descriptor: %s",
                       uri, strerror(errno));
        nbd_close_backing(&nbd->backing);
        return r;
    }
    *backing = &nbd->backing;
    return 0;
}
