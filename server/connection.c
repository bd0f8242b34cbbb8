/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "connection.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "input.h"
#include "output.h"
#include "reactor.h"
#include "transmit.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* A client that sends without a pause does not keep the others of its loop waiting: it is received from so often, and
 * requests are executed for so long, before they have their turn. */
#define TURNS_MAX 4u
#define TURN_NS 1000000u

/* Within a batch, after so long, whether the client is still there: one that takes its answers while they are made
 * never stalls, thousands of small requests fit into a batch, and the loop may lose its processor. */
#define LOOK_NS 50000u

/* Answers of a batch leave when all of it is done, but no more than so many and for no longer than that are held
 * back: the client can go on with the first while the rest is done on another processor.  Each sending costs a
 * system call, so that it is twice as many each time.  Of 16 requests with lz4 four, eight and four: eight at first were 0.8 times as
 * many writes a second by a fast client, and 0.9 times as many reads by fio; four each time 0.8 times as many of 64 reads.
 * A read is somebody's page fault, and waits shortly; a write for longer: 20 microseconds are two or three with real pages and
 * lz4, and each took 5 % more processor time then, a tenth on a busy machine; they were as many a second.  All this within what
 * one call has received: held over several, answers to writes by fio at depth 16 take 4 % less processor time, and
 * at depths 4 and 8 there are a quarter fewer, since the client waits for what is held. */
#define HOLD_ANSWERS 4u
#define HOLD_ANSWERS_MAX 16u
#define HOLD_NS 150000u
#define HOLD_DATA_NS 20000u

/* -- Opening and closing. -- */

static const size_t own_bytes = (sizeof(struct connection) + VOLUME_PAGE_BYTES - 1) /
                                VOLUME_PAGE_BYTES * VOLUME_PAGE_BYTES;
static const size_t used_bytes = own_bytes + CONNECTION_IN_BYTES + CONNECTION_OUT_BYTES;

static struct connection *new_memory(bool lock_in_ram)
{
    uint8_t *memory = mmap(NULL, used_bytes + ARENA_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    /* Locked as it is used, so that the arena takes no RAM for requests that nobody makes. */
    if (lock_in_ram)
        (void)mlock2(memory, used_bytes + ARENA_BYTES, MLOCK_ONFAULT);
    /* What every client uses is there before it uses it. */
    (void)madvise(memory, used_bytes, MADV_POPULATE_WRITE);

    struct connection *connection = (struct connection *)memory;
    connection->in = memory + own_bytes;
    connection->out = connection->in + CONNECTION_IN_BYTES;
    connection->arena.base = connection->out + CONNECTION_OUT_BYTES;
    return connection;
}

static void free_memory(struct connection *connection)
{
    if (connection->readable)
        event_free(connection->readable);
    if (connection->writable)
        event_free(connection->writable);
    if (connection->deadline)
        event_free(connection->deadline);
    if (connection->again)
        event_free(connection->again);
    munmap(connection, used_bytes + ARENA_BYTES);
}

static void close_connection(struct connection *connection)
{
    int fd = connection->fd;

    reactor_remove(connection);
    if (connection->tls)
        tls_end(connection->tls);
    /* The events first: once it is closed, the number may be another thread's new socket. */
    free_memory(connection);
    close(fd);
}

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t bytes = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &bytes) == 0 ? value : -1;
}

static bool is_local(int fd)
{
    return option_of(fd, SO_DOMAIN) == AF_UNIX && option_of(fd, SO_TYPE) == SOCK_STREAM;
}

static void set_deadline(struct connection *connection, unsigned ms)
{
    const struct timeval after = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    event_add(connection->deadline, &after);
}

void connection_end(struct connection *connection)
{
    if (connection->state >= CONNECTION_ENDING)
        return;
    connection->state = CONNECTION_ENDING;
    set_deadline(connection, connection->loop->settings->ending_ms);
}

void connection_drop(struct connection *connection)
{
    connection->state = CONNECTION_GONE;
    atomic_store(&connection->is_gone, true);
}

const struct export *connection_export(const struct connection *connection)
{
    return connection->negotiation.export;
}

/* -- Requests of workers. -- */

struct request *connection_request(struct connection *connection, uint32_t bytes)
{
    struct request *request = connection->free;
    uint8_t *data = NULL;

    if (!request || (bytes > 0 && !(data = arena_take(&connection->arena, bytes))))
        return NULL;
    connection->free = request->next;
    request->data = data;
    request->data_bytes = bytes;
    return request;
}

void connection_request_free(struct request *request)
{
    struct connection *connection = request->connection;

    if (request->data)
        arena_give(&connection->arena, request->data, request->data_bytes);
    request->next = connection->free;
    connection->free = request;
}

void connection_finish(struct request *request)
{
    struct connection *connection = request->connection;

    connection->busy--;
    if (request->result == -ECANCELED)
        connection_drop(connection);
    /* An error would be the page's end for a client that swaps; one whose socket closes asks the
     * next server. */
    if (request->result == -ESHUTDOWN) {
        connection_request_free(request);
        return;
    }
    transmit_answer(request);
    request_queue_add(&connection->finished, request);
}

/* -- TLS. -- */

/* What has come behind STARTTLS was put there by somebody in between, or is meant to be read as if it
 * were encrypted. */
static void begin_handshake(struct connection *connection)
{
    if (connection->in_start < connection->in_end)
        connection_drop(connection);
    else
        connection->state = CONNECTION_HANDSHAKE;
}

static void go_on_with_handshake(struct connection *connection)
{
    /* The answer to STARTTLS first, which is the last in the clear. */
    output_flush(connection);
    if (output_is_waiting(connection) || connection->state != CONNECTION_HANDSHAKE)
        return;
    if (!connection->tls)
        connection->tls = tls_begin(connection->loop->settings->tls, connection->fd);
    int r = connection->tls ? tls_handshake(connection->tls) : -ENOMEM;
    if (r == 0) {
        connection->state = CONNECTION_NEGOTIATING;
        negotiate_encrypted(&connection->negotiation);
    } else if (r != -EAGAIN)
        connection_drop(connection);
}

/* Then it takes nothing in, and what has come would wake the loop again and again. */
static bool handshake_wants_to_send(const struct connection *connection)
{
    return connection->state == CONNECTION_HANDSHAKE &&
           (output_is_waiting(connection) ||
            (connection->tls && tls_wants_to_send(connection->tls)));
}

/* -- What has come. -- */

static void negotiate(struct connection *connection)
{
    while (connection->state == CONNECTION_NEGOTIATING) {
        uint8_t *out = output_room(connection, NEGOTIATE_OUT_BYTES);
        size_t used, made;

        if (!out) {
            connection->is_stalled = true;
            return;
        }
        enum negotiate_state state = negotiate_step(
            &connection->negotiation, connection->in + connection->in_start,
            connection->in_end - connection->in_start, &used, out, &made);
        connection->in_start += (uint32_t)used;
        connection->out_end += (uint32_t)made;
        if (state == NEGOTIATE_CLOSE)
            connection_end(connection);
        else if (state == NEGOTIATE_STARTTLS)
            begin_handshake(connection);
        else if (state == NEGOTIATE_DONE) {
            connection->state = CONNECTION_SERVING;
            event_del(connection->deadline);
        } else if (used == 0)
            return;
    }
}

static void discard(struct connection *connection)
{
    uint32_t there = connection->in_end - connection->in_start;
    uint32_t bytes =
        there < connection->discard_bytes ? there : connection->discard_bytes;

    connection->in_start += bytes;
    connection->discard_bytes -= bytes;
}

/* Others of the loop have their turn first when this one's has been long. */
static void pause_if_long(struct connection *connection, uint64_t now)
{
    if (now - connection->turn_ns >= TURN_NS)
        connection->is_paused = true;
}

/* Of a batch: what is done since answers were sent last, at SINCE_NS, and how much may be. */
struct held {
    unsigned requests, most;
    uint64_t since_ns;
};

/* Within a batch, of which a request is done: sends what is there if it is much, or the first of it has waited. */
static void send_if_held(struct connection *connection, struct held *held, uint64_t now)
{
    const uint64_t most_ns = connection->holds_data ? HOLD_DATA_NS : HOLD_NS;

    held->requests++;
    if (now - held->since_ns < most_ns && held->requests < held->most)
        return;
    output_flush(connection);
    held->requests = 0;
    held->since_ns = now;
    if (held->most < HOLD_ANSWERS_MAX)
        held->most *= 2;
}

static bool is_last_of_batch(const struct connection *connection)
{
    return connection->in_end - connection->in_start < NBD_REQUEST_BYTES;
}

/* Within a batch, whose client was looked for at *LOOKED_NS. */
static bool has_gone_meanwhile(struct connection *connection, uint64_t now,
                               uint64_t *looked_ns)
{
    if (now - *looked_ns < LOOK_NS || !connection_may_have_rivals(connection))
        return false;
    *looked_ns = now;
    return !connection_is_wanted(connection);
}

static void serve(struct connection *connection)
{
    struct held held = {.most = HOLD_ANSWERS, .since_ns = reactor_now_ns()};
    uint64_t looked_ns = held.since_ns;

    while (connection->state == CONNECTION_SERVING && !connection->filling &&
           !connection->is_paused) {
        discard(connection);
        switch (transmit_step(connection)) {
        case TRANSMIT_DONE:
            connection->gather.has_served = true;
            /* After the last all answers leave anyway. */
            if (!is_last_of_batch(connection)) {
                uint64_t now = reactor_now_ns();

                if (has_gone_meanwhile(connection, now, &looked_ns)) {
                    connection_drop(connection);
                    return;
                }
                pause_if_long(connection, now);
                send_if_held(connection, &held, now);
            }
            break;
        case TRANSMIT_MORE:
            return;
        case TRANSMIT_STALLED:
            connection->is_stalled = true;
            return;
        case TRANSMIT_DISC:
            atomic_store(&connection->said_disc, true);
            connection_end(connection);
            return;
        case TRANSMIT_BAD:
            connection_end(connection);
            return;
        }
    }
}

/* LOOKS: the client has not been looked for just now. */
static void handle(struct connection *connection, bool looks)
{
    negotiate(connection);
    if (looks && connection->state == CONNECTION_SERVING &&
        connection_may_have_rivals(connection) && !connection_is_wanted(connection)) {
        connection_drop(connection);
        return;
    }
    if (connection->filling && input_is_filled(connection->filling))
        transmit_filled(connection);
    serve(connection);
    if (connection->in_start == connection->in_end)
        connection->in_start = connection->in_end = 0;
}

/* Whether there may be more. */
static bool receive(struct connection *connection, bool is_told)
{
    enum input_result result = input_receive(connection, is_told);

    if (result == INPUT_END)
        connection_drop(connection);
    else if (result != INPUT_NONE)
        handle(connection, true);
    if (connection->looked_at_bytes > 0) {
        output_flush(connection);
        input_take_away(connection);
    }
    return result == INPUT_MORE;
}

/* -- Events. -- */

static void want(struct connection *connection, struct event *event, bool *is_added,
                 bool wanted)
{
    if (wanted == *is_added)
        return;
    if (wanted && event_add(event, NULL) < 0) {
        connection_drop(connection); /* or it would hang for ever */
        return;
    }
    if (!wanted)
        event_del(event);
    *is_added = wanted;
}

static bool is_over(const struct connection *connection)
{
    return connection->busy == 0 &&
           (connection->state == CONNECTION_GONE ||
            (connection->state == CONNECTION_ENDING && !output_is_waiting(connection)));
}

/* Waits for what there now is to wait for. */
static void settle(struct connection *connection)
{
    if (is_over(connection)) {
        close_connection(connection);
        return;
    }
    bool goes_on = connection->is_paused && connection->state == CONNECTION_SERVING;
    bool reads = connection->state <= CONNECTION_SERVING && !connection->is_stalled &&
                 !connection->is_paused && !handshake_wants_to_send(connection);
    bool sends =
        handshake_wants_to_send(connection) ||
        (connection->state != CONNECTION_GONE && output_is_waiting(connection));
    bool gathers = reads && !sends && gather_begin(connection);
    /* The one that is added first: to be without any costs the kernel memory. */
    if (gathers)
        want(connection, connection->writable, &connection->writing, true);
    want(connection, connection->readable, &connection->reading, reads && !gathers);
    want(connection, connection->writable, &connection->writing, sends || gathers);
    /* By a timer, so that the others of the loop have their turn first. */
    if (goes_on ||
        (reads && connection->tls && connection->state != CONNECTION_HANDSHAKE &&
         tls_has_input(connection->tls)))
        event_add(connection->again, &(const struct timeval){0});
    if (is_over(connection))
        close_connection(connection);
}

void connection_go_on(struct connection *connection)
{
    connection->turn_ns = reactor_now_ns();
    gather_end(connection);
    output_flush(connection);
    while (connection->is_stalled && connection->state <= CONNECTION_SERVING) {
        /* It may have been long. */
        if (!connection_is_wanted(connection)) {
            connection_drop(connection);
            break;
        }
        connection->is_stalled = false;
        handle(connection, false);
        uint64_t before = connection->loop->sends;
        output_flush(connection);
        if (connection->loop->sends == before)
            break; /* there will be an event: it is writable, or a request comes back */
    }
    settle(connection);
}

/* IS_TOLD: by an event, that there is something. */
static void take_turn(struct connection *connection, bool is_told)
{
    connection->turn_ns = reactor_now_ns();
    if (connection->state == CONNECTION_HANDSHAKE)
        go_on_with_handshake(connection);
    for (unsigned turn = 0; turn < TURNS_MAX; turn++)
        if (connection->state > CONNECTION_SERVING ||
            connection->state == CONNECTION_HANDSHAKE || connection->is_stalled ||
            connection->is_paused || !receive(connection, is_told && turn == 0))
            break;
    connection_go_on(connection);
}

static void on_readable(int fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    take_turn(opaque, true);
}

bool connection_poll(struct connection *connection)
{
    if (connection->state != CONNECTION_SERVING || !connection->reading)
        return false;
    take_turn(connection, false);
    return true;
}

static void on_writable(int fd, short what, void *opaque)
{
    struct connection *connection = opaque;

    (void)fd;
    (void)what;
    if (connection->state == CONNECTION_HANDSHAKE)
        go_on_with_handshake(connection);
    if (gather_end(connection))
        take_turn(connection, false);
    else
        connection_go_on(connection);
}

void connection_gather_no_more(struct connection *connection)
{
    gather_give_up(connection);
    take_turn(connection, false);
}

static void on_again(int fd, short what, void *opaque)
{
    struct connection *connection = opaque;

    (void)fd;
    (void)what;
    if (!connection->is_paused) {
        if (connection->reading)
            take_turn(connection, false);
        return;
    }
    connection->is_paused = false;
    connection->turn_ns = reactor_now_ns();
    if (connection_is_wanted(connection))
        handle(connection, false);
    else
        connection_drop(connection);
    connection_go_on(connection);
}

/* What was sent before a DISC is carried out however long a backing store takes: it is little, and there
 * comes no more. */
static bool may_take_longer(const struct connection *connection)
{
    return connection->state == CONNECTION_ENDING &&
           atomic_load(&connection->said_disc) && connection->busy > 0 &&
           !connection->loop->is_stopping;
}

static void on_deadline(int fd, short what, void *opaque)
{
    struct connection *connection = opaque;

    (void)fd;
    (void)what;
    if (may_take_longer(connection)) {
        set_deadline(connection, connection->loop->settings->ending_ms);
        return;
    }
    connection_drop(connection);
    settle(connection);
}

int connection_open(struct reactor *loop, int fd)
{
    const struct reactor_settings *settings = loop->settings;
    struct connection *connection = new_memory(settings->lock_in_ram);

    if (!connection)
        return -ENOMEM;
    connection->loop = loop;
    connection->fd = fd;
    connection->is_local = is_local(fd);
    connection->state = CONNECTION_NEGOTIATING;
    gather_init(connection);
    request_queue_init(&connection->finished);
    for (unsigned i = CONNECTION_REQUESTS; i-- > 0;) {
        connection->requests[i].connection = connection;
        connection->requests[i].next = connection->free;
        connection->free = &connection->requests[i];
    }
    connection->readable =
        event_new(loop->base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    connection->writable =
        event_new(loop->base, fd, EV_WRITE | EV_PERSIST, on_writable, connection);
    connection->deadline = evtimer_new(loop->base, on_deadline, connection);
    connection->again = evtimer_new(loop->base, on_again, connection);
    if (!connection->readable || !connection->writable || !connection->deadline ||
        !connection->again) {
        free_memory(connection);
        return -ENOMEM;
    }
    reactor_add(connection);
    set_deadline(connection, CONNECTION_NEGOTIATION_S * 1000);
    negotiate_begin(&connection->negotiation, settings->exports, settings->tls_mode);
    connection->out_end = (uint32_t)negotiate_greet(connection->out);
    connection_go_on(connection);
    return 0;
}
