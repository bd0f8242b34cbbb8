/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "nbd-link.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <libnbd.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"

#define CONNECT_MS 5000
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 5000

/* What servers take that do not say (the protocol's advice). */
#define PIECE_DEFAULT_BYTES (32u << 20)

/* A write takes the wire, and the server, for longer than a read. */
#define OTHERS_WEIGHT 4

struct nbd_handle *link_handle_new(void)
{
    struct nbd_handle *handle = nbd_create();

    /* Keys and certificates of TLS; the URI is the administrator's. */
    if (handle)
        nbd_set_uri_allow_local_file(handle, true);
    return handle;
}

int link_look(struct nbd_handle *handle, struct link_export *export)
{
    int64_t bytes = nbd_get_size(handle);
    int is_read_only = nbd_is_read_only(handle), can_trim = nbd_can_trim(handle);
    int can_multi_conn = nbd_can_multi_conn(handle);
    int64_t minimum = nbd_get_block_size(handle, LIBNBD_SIZE_MINIMUM);
    int64_t maximum = nbd_get_block_size(handle, LIBNBD_SIZE_MAXIMUM);

    if (bytes < 0 || is_read_only < 0 || can_trim < 0 || can_multi_conn < 0 ||
        minimum < 0 || maximum < 0)
        return -EIO;
    if (maximum == 0 || maximum > PIECE_DEFAULT_BYTES)
        maximum = PIECE_DEFAULT_BYTES;
    *export = (struct link_export){
        .bytes = (uint64_t)bytes,
        .is_read_only = is_read_only,
        .can_trim = can_trim,
        .can_multi_conn = can_multi_conn,
        .minimum_bytes = (uint32_t)minimum,
        .piece_bytes = (uint32_t)maximum / BACKING_ALIGN * BACKING_ALIGN,
    };
    return 0;
}

static bool is_fit(const struct link *link)
{
    const struct link_export *export = &link->export;

    return export->bytes >= link->shared->bytes && !export->is_read_only &&
           export->minimum_bytes <= BACKING_ALIGN && export->piece_bytes > 0 &&
           (export->can_multi_conn || !link->shared->is_several);
}

/* -- What is at the start. -- */

/* Before IO is sent for the first time. */
static void note_start_sent(struct link_shared *shared, const struct backing_io *io)
{
    if (io->offset > 0 || io->op == BACKING_READ || io->sent)
        return;
    if (shared->start_writes++ > 0 || io->op == BACKING_DISCARD)
        shared->start_mixed = true;
    else
        memcpy(shared->next_start, io->buffer, BACKING_ALIGN);
}

/* After it was answered. */
static void note_start_answered(struct link_shared *shared, const struct backing_io *io,
                                bool done)
{
    if (io->offset > 0 || io->op == BACKING_READ)
        return;
    shared->start_known = done && !shared->start_mixed;
    if (shared->start_known)
        memcpy(shared->start, shared->next_start, BACKING_ALIGN);
    if (--shared->start_writes == 0)
        shared->start_mixed = false;
}

static bool start_is_ours(const struct link *link)
{
    const struct link_shared *shared = link->shared;

    if (!shared->start_known || memcmp(link->start, shared->start, BACKING_ALIGN) == 0)
        return true;
    return shared->start_writes > 0 &&
           (shared->start_mixed ||
            memcmp(link->start, shared->next_start, BACKING_ALIGN) == 0);
}

/* -- Requests. -- */

/* Called by libnbd with its lock held: takes a note, and no more. */
static int on_answer(void *opaque, int *err)
{
    struct link_request *request = opaque;

    request->is_answered = true;
    request->err = *err;
    return 1; /* libnbd need not keep it */
}

/* Takes the I/O out of its request. */
static struct backing_io *take_back(struct link_request *request)
{
    struct backing_io *io = request->io;

    request->io = NULL;
    if (io->op == BACKING_READ)
        request->link->reads--;
    else
        request->link->others--;
    return io;
}

static void settle(struct link_request *request)
{
    struct link_shared *shared = request->link->shared;
    struct backing_io *io = take_back(request);

    /* Space that cannot be given back is used again all the same. */
    if (io->op == BACKING_DISCARD &&
        (request->err == EOPNOTSUPP || request->err == EINVAL))
        request->err = 0;
    if (request->err > 0) {
        note_start_answered(shared, io, false);
        shared->finished(shared->opaque, io, -request->err);
        return;
    }
    io->moved += request->bytes;
    if (io->moved < io->bytes) {
        shared->returned(shared->opaque, io);
        return;
    }
    note_start_answered(shared, io, true);
    shared->finished(shared->opaque, io, 0);
}

static bool is_lost(const struct link *link)
{
    return nbd_aio_is_dead(link->handle) || nbd_aio_is_closed(link->handle);
}

static __attribute__((noinline)) void disarm(struct link *link)
{
    if (link->armed)
        event_del(link->ready);
    link->armed = 0;
}

/* libnbd closes the socket of a lost connection by itself, and its number may be another
 * thread's by now.  Epoll forgot it with that; what goes here is libevent's record of it,
 * whose own epoll_ctl finds nothing.  Neither is inline: tests/tsan.supp has the name of
 * this one. */
static __attribute__((noinline)) void disarm_closed(struct link *link)
{
    disarm(link);
    link->armed_fd = -1;
}

/* What the system has not sent when the socket is closed is not sent any more: by default it
 * would go on trying for minutes, also for a process that was killed, and a write that arrives
 * late may come after what took its place. */
static void forbid_lingering(struct nbd_handle *handle, bool forbidden)
{
    const struct linger none = {.l_onoff = forbidden, .l_linger = 0};
    int fd = nbd_aio_get_fd(handle);

    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

/* Whatever comes: what libnbd has an answer for is answered, all else goes back. */
static void drop(struct link *link)
{
    struct link_shared *shared = link->shared;
    unsigned longest = shared->timeout_ms / 4 < BACKOFF_MAX_MS ? shared->timeout_ms / 4
                                                               : BACKOFF_MAX_MS;

    if (is_lost(link))
        disarm_closed(link);
    else
        disarm(link);
    forbid_lingering(link->handle, true);
    nbd_close(link->handle);
    link->handle = NULL;
    link->state = LINK_DOWN;
    link->due_ms = clock_now_ms() + link->backoff_ms;
    link->backoff_ms *= 2;
    if (link->backoff_ms > longest)
        link->backoff_ms = longest;

    for (unsigned i = LINK_REQUESTS_MAX; i-- > 0;) {
        struct link_request *request = &link->requests[i];

        if (!request->io)
            continue;
        if (request->is_answered && request->err == 0) {
            settle(request);
            continue;
        }
        struct backing_io *io = take_back(request);
        io->moved = 0;
        shared->returned(shared->opaque, io);
    }
}

static void on_ready(evutil_socket_t fd, short what, void *opaque);

/* The event for what libnbd waits for. */
static void arm(struct link *link)
{
    unsigned direction = nbd_aio_get_direction(link->handle);
    int fd = nbd_aio_get_fd(link->handle);
    short wanted = (short)((direction & LIBNBD_AIO_DIRECTION_READ ? EV_READ : 0) |
                           (direction & LIBNBD_AIO_DIRECTION_WRITE ? EV_WRITE : 0));

    if (link->armed == wanted && link->armed_fd == fd)
        return;
    disarm(link);
    if (fd < 0 || !wanted)
        return;
    event_assign(link->ready, link->shared->base, fd, (short)(wanted | EV_PERSIST),
                 on_ready, link);
    if (event_add(link->ready, NULL) < 0)
        return; /* no memory: link_expire() ends it when it does not come to life */
    link->armed = wanted;
    link->armed_fd = fd;
}

/* After any call of libnbd that moves its state machine. */
static void attend(struct link *link)
{
    bool lost = is_lost(link);

    /* A server that is ending answers all that it still reads with this. */
    for (unsigned i = 0; i < LINK_REQUESTS_MAX; i++)
        if (link->requests[i].io && link->requests[i].is_answered &&
            link->requests[i].err == ESHUTDOWN)
            lost = true;
    if (lost) {
        drop(link);
        return;
    }
    for (unsigned i = 0; i < LINK_REQUESTS_MAX; i++)
        if (link->requests[i].io && link->requests[i].is_answered)
            settle(&link->requests[i]);
    arm(link);
}

static struct link_request *free_request(struct link *link)
{
    for (unsigned i = 0; i < LINK_REQUESTS_MAX; i++)
        if (!link->requests[i].io)
            return &link->requests[i];
    return NULL;
}

bool link_takes(const struct link *link, enum backing_op op, unsigned *load)
{
    *load = link->reads + OTHERS_WEIGHT * link->others;
    return link->state == LINK_UP &&
           (op == BACKING_READ ? link->reads < LINK_READS_MAX
                               : link->others < LINK_OTHERS_MAX);
}

void link_send(struct link *link, struct backing_io *io)
{
    struct link_shared *shared = link->shared;
    struct link_request *request = free_request(link);
    uint32_t left = io->bytes - io->moved, most = link->export.piece_bytes;
    nbd_completion_callback answer = {.callback = on_answer, .user_data = request};
    char *buffer = io->buffer ? (char *)io->buffer + io->moved : NULL;
    uint64_t offset = io->offset + io->moved;
    int64_t cookie = -1;

    assert(request && link->state == LINK_UP);
    /* Also what has been sent to a server that could, and now cannot any more. */
    if (io->op == BACKING_DISCARD && !link->export.can_trim) {
        if (io->sent)
            note_start_answered(shared, io, true);
        shared->finished(shared->opaque, io, 0);
        return;
    }
    note_start_sent(shared, io);
    *request = (struct link_request){
        .link = link,
        .io = io,
        .bytes = left < most ? left : most,
        .sent_ms = clock_now_ms(),
    };
    if (io->op == BACKING_READ)
        link->reads++;
    else
        link->others++;
    io->sent = true;
    switch (io->op) {
    case BACKING_READ:
        cookie = nbd_aio_pread(link->handle, buffer, request->bytes, offset, answer, 0);
        break;
    case BACKING_WRITE:
        cookie =
            nbd_aio_pwrite(link->handle, buffer, request->bytes, offset, answer, 0);
        break;
    case BACKING_DISCARD:
        cookie = nbd_aio_trim(link->handle, request->bytes, offset, answer, 0);
        break;
    }
    if (cookie < 0)
        drop(link); /* lost; or libnbd has no memory, and it is tried again later */
    else
        attend(link);
}

/* -- Connecting. -- */

static void begin(struct link *link)
{
    link->handle = link_handle_new();
    if (!link->handle) {
        link->due_ms = clock_now_ms() + BACKOFF_MAX_MS;
        return;
    }
    link->state = LINK_CONNECTING;
    link->due_ms = clock_now_ms() + CONNECT_MS;
    if (nbd_aio_connect_uri(link->handle, link->shared->uri) < 0 || is_lost(link))
        drop(link);
    else
        arm(link);
}

/* Moves on when libnbd has connected, or has read the start. */
static void go_on(struct link *link)
{
    const nbd_completion_callback answer = {.callback = on_answer,
                                            .user_data = &link->check};

    if (link->state == LINK_CONNECTING && nbd_aio_is_ready(link->handle)) {
        link->state = LINK_CHECKING;
        link->due_ms = clock_now_ms() + CONNECT_MS + link->shared->timeout_ms / 2;
        link->check = (struct link_request){.link = link};
        if (link_look(link->handle, &link->export) < 0 || !is_fit(link) ||
            nbd_aio_pread(link->handle, link->start, BACKING_ALIGN, 0, answer, 0) < 0) {
            drop(link);
            return;
        }
    }
    if (link->state == LINK_CHECKING && link->check.is_answered) {
        if (link->check.err || is_lost(link) || !start_is_ours(link)) {
            drop(link);
            return;
        }
        forbid_lingering(link->handle, true);
        link->state = LINK_UP;
        link->backoff_ms = BACKOFF_MIN_MS;
    }
    attend(link);
}

static void on_ready(evutil_socket_t fd, short what, void *opaque)
{
    struct link *link = opaque;
    struct link_shared *shared = link->shared;
    unsigned direction = nbd_aio_get_direction(link->handle);

    (void)fd;
    /* libnbd may go on to another address, whose socket gets the number of the one that
     * it closes: libevent would take them for the same. */
    if (link->state == LINK_CONNECTING)
        disarm(link);
    if (what & EV_READ && direction & LIBNBD_AIO_DIRECTION_READ)
        (void)nbd_aio_notify_read(link->handle);
    else if (what & EV_WRITE && direction & LIBNBD_AIO_DIRECTION_WRITE)
        (void)nbd_aio_notify_write(link->handle);
    go_on(link);
    shared->changed(shared->opaque);
}

/* -- Life. -- */

int link_open(struct link *link, struct link_shared *shared)
{
    link->shared = shared;
    link->state = LINK_DOWN;
    link->backoff_ms = BACKOFF_MIN_MS;
    link->ready = event_new(shared->base, -1, 0, on_ready, link);
    return link->ready ? 0 : -ENOMEM;
}

void link_close(struct link *link)
{
    if (!link->ready)
        return;
    assert(link->reads == 0 && link->others == 0);
    disarm(link);
    if (link->handle && link->state == LINK_UP) {
        forbid_lingering(link->handle, false);
        (void)nbd_aio_disconnect(link->handle, 0);
    }
    nbd_close(link->handle); /* NULL is fine */
    event_free(link->ready);
}

/* Whether the server has one too long.  For a read that somebody waits for all its time counts; of another I/O, which
 * may have stood behind others, or is sent again elsewhere, that on this connection. */
static bool is_overdue(const struct link *link, uint64_t now_ms)
{
    for (unsigned i = 0; i < LINK_REQUESTS_MAX; i++) {
        const struct link_request *request = &link->requests[i];

        if (!request->io)
            continue;
        uint64_t since = request->io->urgent ? request->io->since_ms : request->sent_ms;
        if (now_ms >= since + link->shared->timeout_ms)
            return true;
    }
    return false;
}

void link_expire(struct link *link, uint64_t now_ms)
{
    switch (link->state) {
    case LINK_DOWN:
        if (now_ms >= link->due_ms)
            begin(link);
        break;
    case LINK_CONNECTING:
    case LINK_CHECKING:
        if (now_ms >= link->due_ms)
            drop(link);
        break;
    case LINK_UP:
        if (is_overdue(link, now_ms))
            drop(link);
        break;
    }
}

void link_hurry(struct link *link)
{
    if (link->state != LINK_DOWN)
        return;
    link->backoff_ms = BACKOFF_MIN_MS;
    link->due_ms = 0;
}

uint64_t link_next_ms(const struct link *link)
{
    if (link->state != LINK_UP)
        return link->due_ms;
    return UINT64_MAX;
}
