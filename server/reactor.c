/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "reactor.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"

/* After so long the clients that are left get no more answers; and when a thread has not ended after
 * so long, the process ends without it.  With what volume_close() takes: 5 s. */
#define STOP_MS 1500
#define JOIN_S 4

/* A period of cpu-latency.h; and gather_ms is over at one. */
#define TICK_MS CPU_LATENCY_PERIOD_MS

#define POLL_SHARE 4                       /* one part in so many of the time */
#define POLL_TURNS 8u                      /* events are asked for in one of so many */
#define POLL_ACCOUNT_NS (20 * 1000 * 1000) /* at most so much is saved up */

/* -- Connections. -- */

struct workers *reactor_workers(const struct reactor *loop)
{
    return loop->settings->workers;
}

struct reactor_clients *reactor_clients(const struct reactor *loop)
{
    return loop->settings->clients;
}

/* In this order: who finds this client in EVER finds it in NOW, too (connection_is_wanted()). */
static void count_in(struct reactor *loop)
{
    atomic_fetch_add(&loop->connection_count, 1);
    atomic_fetch_add(&reactor_clients(loop)->now, 1);
    atomic_fetch_add(&reactor_clients(loop)->ever, 1);
}

static void count_out(struct reactor *loop)
{
    atomic_fetch_sub(&reactor_clients(loop)->now, 1);
    atomic_fetch_sub(&loop->connection_count, 1);
}

void reactor_add(struct connection *connection)
{
    struct reactor *loop = connection->loop;

    connection->next = loop->connections;
    connection->link = &loop->connections;
    if (connection->next)
        connection->next->link = &connection->next;
    loop->connections = connection;
}

void reactor_remove(struct connection *connection)
{
    if (connection->loop->latest == connection)
        connection->loop->latest = NULL;
    *connection->link = connection->next;
    if (connection->next)
        connection->next->link = connection->link;
    count_out(connection->loop);
}

/* -- What is looked at each few milliseconds. -- */

void reactor_watch(struct reactor *loop)
{
    tick_start(&loop->tick);
}

/* Whether somebody still gathers. */
static bool end_gathering(struct reactor *loop, uint64_t now_ns)
{
    struct connection *next;
    bool goes_on = false;

    for (struct connection *each = loop->connections; each; each = next) {
        next = each->next;
        goes_on |= each->gather.is_on;
        if (gather_is_over(each, now_ns))
            connection_gather_no_more(each);
    }
    return goes_on;
}

static bool on_tick(void *opaque)
{
    struct reactor *loop = opaque;
    const uint64_t now_ns = reactor_now_ns();
    bool goes_on = end_gathering(loop, now_ns);

    if (loop->settings->cpu_latency)
        goes_on |= cpu_latency_go_on(loop->settings->cpu_latency, &loop->cpu_latency,
                                     loop->answers, now_ns);
    return goes_on;
}

/* With the first answer after a pause the periods of cpu-latency.h begin again.  (While somebody gathers they go on
 * meanwhile.) */
static void note_answers(struct reactor *loop)
{
    if (!loop->settings->cpu_latency || loop->tick.is_on ||
        loop->answers == loop->cpu_latency.answers)
        return;
    cpu_latency_begin(&loop->cpu_latency, loop->answers, reactor_now_ns());
    tick_start(&loop->tick);
}

/* -- What others leave here. -- */

static void open_connection(struct reactor *loop, int fd)
{
    if (!loop->is_stopping && connection_open(loop, fd) == 0)
        return;
    close(fd);
    count_out(loop);
}

/* All requests first, so that their answers leave together. */
static void finish_all(struct reactor *loop, struct request *request)
{
    while (request) {
        struct request *next = request->next;
        struct connection *connection = request->connection;

        connection_finish(request);
        if (!connection->is_touched) {
            connection->is_touched = true;
            connection->next_touched = loop->touched;
            loop->touched = connection;
        }
        request = next;
    }
    while (loop->touched) {
        struct connection *connection = loop->touched;

        loop->touched = connection->next_touched;
        connection->is_touched = false;
        connection_go_on(connection);
    }
}

static void for_all(struct reactor *loop, void (*fn)(struct connection *connection))
{
    struct connection *next;

    for (struct connection *each = loop->connections; each; each = next) {
        next = each->next;
        fn(each);
        connection_go_on(each);
    }
}

static void stop(struct reactor *loop)
{
    const struct timeval after = {.tv_sec = STOP_MS / 1000,
                                  .tv_usec = STOP_MS % 1000 * 1000};

    loop->is_stopping = true;
    event_add(loop->stop_deadline, &after);
    for_all(loop, connection_end);
}

static void on_stop_deadline(int fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    for_all(opaque, connection_drop);
}

static void on_mail(int fd, short what, void *opaque)
{
    struct reactor *loop = opaque;
    struct request *came_back;
    bool stop_now;
    eventfd_t count;

    (void)what;
    eventfd_read(fd, &count);
    if (atomic_exchange(&loop->is_asked, false))
        for_all(loop, connection_answer_asked);
    pthread_mutex_lock(&loop->mutex);
    came_back = loop->came_back.first;
    request_queue_init(&loop->came_back);
    stop_now = loop->stop_wanted && !loop->is_stopping;
    pthread_mutex_unlock(&loop->mutex);

    finish_all(loop, came_back);
    if (stop_now)
        stop(loop);
    for (;;) {
        int client = -1;

        pthread_mutex_lock(&loop->mutex);
        if (loop->fd_count > 0)
            client = loop->fds[--loop->fd_count];
        pthread_mutex_unlock(&loop->mutex);
        if (client < 0)
            break;
        open_connection(loop, client);
    }
}

static void wake(struct reactor *loop)
{
    eventfd_write(loop->mail_fd, 1);
}

void reactor_ask(struct reactor *loop)
{
    if (!atomic_exchange(&loop->is_asked, true))
        wake(loop);
}

void reactor_give(struct reactor *loop, int fd)
{
    count_in(loop);
    pthread_mutex_lock(&loop->mutex);
    loop->fds[loop->fd_count++] = fd;
    pthread_mutex_unlock(&loop->mutex);
    wake(loop);
}

void reactor_finish(struct reactor *loop, struct request *request)
{
    pthread_mutex_lock(&loop->mutex);
    bool was_empty = !loop->came_back.first;
    request_queue_add(&loop->came_back, request);
    pthread_mutex_unlock(&loop->mutex);
    if (was_empty)
        wake(loop);
}

void reactor_stop(struct reactor *loop)
{
    pthread_mutex_lock(&loop->mutex);
    loop->stop_wanted = true;
    pthread_mutex_unlock(&loop->mutex);
    wake(loop);
}

/* -- The thread. -- */

/* Whoever was answered last is received from, by one call to the system instead of two or three; the first turn after
 * an answer is for the others, since a request takes its time. */
static void poll_once(struct reactor *loop, unsigned turn)
{
    if (turn % POLL_TURNS == 0 || !loop->latest || !connection_poll(loop->latest))
        event_base_loop(loop->base, EVLOOP_NONBLOCK);
}

static void poll_a_while(struct reactor *loop)
{
    const int64_t for_ns = (int64_t)loop->settings->poll_us * 1000;

    if (loop->sends == loop->poll.sends)
        return;
    const uint64_t begun = reactor_now_ns();
    loop->poll.account_ns += (int64_t)((begun - loop->poll.last_ns) / POLL_SHARE);
    if (loop->poll.account_ns > POLL_ACCOUNT_NS)
        loop->poll.account_ns = POLL_ACCOUNT_NS;
    loop->poll.last_ns = begun;
    if (loop->poll.account_ns < for_ns)
        return;

    uint64_t start = begun, now;
    unsigned turn = 0;

    do {
        loop->poll.sends = loop->sends;
        poll_once(loop, turn++);
        now = reactor_now_ns();
        if (loop->sends != loop->poll.sends) {
            start = now;
            turn = 0;
            note_answers(loop);
        }
    } while ((int64_t)(now - start) < for_ns);
    loop->poll.account_ns -= (int64_t)(now - start);
    atomic_fetch_add_explicit(&loop->poll.total_ns, now - begun, memory_order_relaxed);
    atomic_fetch_add_explicit(&loop->poll.vain_ns, now - start, memory_order_relaxed);
}

static bool is_done(const struct reactor *loop)
{
    return loop->is_stopping && !loop->connections;
}

static void *run(void *opaque)
{
    struct reactor *loop = opaque;

    while (!is_done(loop)) {
        note_answers(loop);
        if (loop->settings->poll_us > 0)
            poll_a_while(loop);
        /* Or it would wait for the deadline of what is done. */
        if (is_done(loop))
            break;
        event_base_loop(loop->base, EVLOOP_ONCE);
    }
    if (loop->settings->cpu_latency)
        cpu_latency_end(loop->settings->cpu_latency, &loop->cpu_latency,
                        reactor_now_ns());
    return NULL;
}

void reactor_free(struct reactor *loop)
{
    if (loop->mail)
        event_free(loop->mail);
    if (loop->stop_deadline)
        event_free(loop->stop_deadline);
    tick_close(&loop->tick);
    if (loop->base)
        event_base_free(loop->base);
    if (loop->mail_fd >= 0)
        close(loop->mail_fd);
    pthread_mutex_destroy(&loop->mutex);
}

int reactor_start(struct reactor *loop, const struct reactor_settings *settings)
{
    int r = -ENOMEM;

    loop->settings = settings;
    pthread_mutex_init(&loop->mutex, NULL);
    request_queue_init(&loop->came_back);
    loop->poll.last_ns = reactor_now_ns();
    loop->poll.account_ns = POLL_ACCOUNT_NS;
    loop->mail_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->mail_fd < 0) {
        r = -errno;
        goto fail;
    }
    loop->base = event_base_new();
    if (!loop->base)
        goto fail;
    loop->mail =
        event_new(loop->base, loop->mail_fd, EV_READ | EV_PERSIST, on_mail, loop);
    loop->stop_deadline = evtimer_new(loop->base, on_stop_deadline, loop);
    if (!loop->mail || !loop->stop_deadline || event_add(loop->mail, NULL) < 0)
        goto fail;
    r = tick_open(&loop->tick, loop->base, TICK_MS, on_tick, loop);
    if (r < 0)
        goto fail;
    r = -pthread_create(&loop->thread, NULL, run, loop);
    if (r < 0)
        goto fail;
    return 0;

fail:
    reactor_free(loop);
    return r;
}

unsigned reactor_numbers(const struct reactor *loops, unsigned count,
                         struct face_number numbers[FACE_NUMBERS_MAX])
{
    uint64_t connections = 0, poll_ns = 0, vain_ns = 0;

    for (unsigned i = 0; i < count; i++) {
        connections += atomic_load(&loops[i].connection_count);
        poll_ns += atomic_load_explicit(&loops[i].poll.total_ns, memory_order_relaxed);
        vain_ns += atomic_load_explicit(&loops[i].poll.vain_ns, memory_order_relaxed);
    }
    struct cpu_latency *cpu_latency = count > 0 ? loops[0].settings->cpu_latency : NULL;
    const uint64_t held_ns =
        cpu_latency ? cpu_latency_held_ns(cpu_latency, reactor_now_ns()) : 0;
    const struct face_number all[] = {
        {"threads", "loops that serve clients, of all exports", count, false},
        {"connections", "clients, of all exports", connections, false},
        {"poll_time", "how long the loops have polled", poll_ns, true},
        {"poll_time_in_vain", "how much of that found no request", vain_ns, true},
        {"cpu_latency_time", "how long idle processors were kept from deep sleep",
         held_ns, true}};
    memcpy(numbers, all, sizeof all);
    return sizeof all / sizeof *all;
}

bool reactor_join(struct reactor *loops, unsigned count)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += JOIN_S;
    for (unsigned i = 0; i < count; i++)
        if (pthread_timedjoin_np(loops[i].thread, NULL, &until) != 0)
            return false;
    return true;
}
