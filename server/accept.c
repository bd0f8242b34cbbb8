/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "accept.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* Without a descriptor, or memory, for it a client stays in the queue, and the socket readable. */
#define AGAIN_MS 100

/* A client whose machine is gone is noticed after a minute or a little more, if it has nothing to confirm. */
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 15
#define KEEPALIVE_COUNT 4

/* One that has not confirmed what it was sent, or takes nothing, for so long is gone: TCP itself would go on for a
 * quarter of an hour, and so long its requests would count as wanted, and its memory as used. */
#define UNHEARD_MS 60000u

static void tune(int fd)
{
    const int on = 1, idle = KEEPALIVE_IDLE_S, interval = KEEPALIVE_INTERVAL_S,
              count = KEEPALIVE_COUNT;
    const unsigned unheard_ms = UNHEARD_MS;

    /* All but a TCP socket refuses it. */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unheard_ms, sizeof unheard_ms);
}

static void place(struct acceptor *acceptor, int fd)
{
    struct reactor *least = &acceptor->loops[0];
    unsigned sum = 0, fewest = UINT32_MAX;

    for (unsigned i = 0; i < acceptor->reactor_count; i++) {
        unsigned count = atomic_load(&acceptor->loops[i].connection_count);

        sum += count;
        if (count < fewest) {
            fewest = count;
            least = &acceptor->loops[i];
        }
    }
    if (sum >= acceptor->connections_max) {
        close(fd);
        return;
    }
    tune(fd);
    reactor_give(least, fd);
}

static void on_client(int fd, short what, void *opaque)
{
    const struct timeval after = {.tv_usec = AGAIN_MS * 1000};
    struct acceptor *acceptor = opaque;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)what;
    if (client >= 0) {
        place(acceptor, client);
        return;
    }
    if (atomic_load(&acceptor->is_stopping))
        return;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        for (unsigned i = 0; i < acceptor->listener->count; i++)
            event_del(acceptor->events[i]);
        event_add(acceptor->again, &after);
    }
}

static void on_again(int fd, short what, void *opaque)
{
    struct acceptor *acceptor = opaque;

    (void)fd;
    (void)what;
    if (atomic_load(&acceptor->is_stopping))
        return;
    for (unsigned i = 0; i < acceptor->listener->count; i++)
        event_add(acceptor->events[i], NULL);
}

int accept_start(struct acceptor *acceptor, const struct listener *listener,
                 struct reactor *loops, unsigned reactor_count,
                 unsigned connections_max)
{
    struct event_base *base = loops[0].base;

    *acceptor = (struct acceptor){
        .loops = loops,
        .reactor_count = reactor_count,
        .connections_max = connections_max,
        .listener = listener,
        .again = evtimer_new(base, on_again, acceptor),
    };
    if (!acceptor->again)
        return -ENOMEM;
    for (unsigned i = 0; i < listener->count; i++) {
        acceptor->events[i] = event_new(base, listener->fds[i], EV_READ | EV_PERSIST,
                                        on_client, acceptor);
        if (!acceptor->events[i])
            return -ENOMEM;
    }
    for (unsigned i = 0; i < listener->count; i++)
        event_add(acceptor->events[i], NULL);
    return 0;
}

void accept_stop(struct acceptor *acceptor)
{
    /* To delete an event waits for its function to return.  Each function adds the other's, but not from here on, and
     * deletes those of its kind: none is freed before all have returned. */
    atomic_store(&acceptor->is_stopping, true);
    if (acceptor->again)
        event_del(acceptor->again);
    for (unsigned i = 0; i < LISTEN_FDS_MAX; i++)
        if (acceptor->events[i])
            event_del(acceptor->events[i]);
    for (unsigned i = 0; i < LISTEN_FDS_MAX; i++)
        if (acceptor->events[i])
            event_free(acceptor->events[i]);
    if (acceptor->again)
        event_free(acceptor->again);
}
