/* reactor.h - a thread with an event loop, and the connections that belong to it
 *
 * Owns:    the thread, its libevent base, its connections.
 * Called:  start, stop and join by one thread; reactor_give() and reactor_finish() by any; the rest by
 *          the loop itself.
 * Locks:   one mutex for what other threads leave here; nothing is called under it.
 * Never:   waits for anything but its events.
 *
 * Polling. After it has sent an answer the loop receives from that client again and again for poll_us, and now and
 * then asks for the events of all others, before it sleeps: the next request of a client that waits for
 * one answer at a time then finds it awake.  What is polled in vain is paid from an account that gets a
 * quarter of the time that passes, so that waiting takes a quarter of a processor at most; total_ns and
 * vain_ns say how much it was.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_REACTOR_H
#define ZSLOT_REACTOR_H

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "cpu-latency.h"
#include "export.h"
#include "face.h"
#include "request.h"
#include "tick.h"
#include "tls.h"

#define LOOP_CONNECTIONS_MAX 4096u
#define REACTOR_SCRATCH_BYTES 65536u
#define REACTOR_ENDING_MS 10000u

struct workers;
struct connection;

/* Of all loops: who was given to them so far, and who is there, given and not opened yet or open.  NOW is the sum of
 * their connection_count, since no loop sees those of the others. */
struct reactor_clients {
    _Atomic uint64_t ever;
    _Atomic unsigned now;
};

struct reactor_settings {
    const struct export_table *exports;
    struct workers *workers;
    struct reactor_clients *clients; /* zeroed before the first loop starts */
    struct tls *tls;                 /* NULL with TLS_OFF */
    enum tls_mode tls_mode;
    unsigned poll_us;                /* 0: it does not poll */
    struct cpu_latency *cpu_latency; /* NULL: processors sleep as they like */
    /* How long a client that we want to part from may take to receive its last answers. */
    unsigned ending_ms;
    unsigned
        gather_ms; /* how long one that has answers may take to read them (gather.h) */
    bool lock_in_ram;
};

struct reactor {
    const struct reactor_settings *settings;
    pthread_t thread;
    struct event_base *base;
    struct event *mail, *stop_deadline;
    int mail_fd;
    _Atomic unsigned
        connection_count; /* with those that were given and not opened yet */

    struct connection *connections, *touched;
    struct connection *latest; /* was sent something last; or NULL */
    _Atomic bool is_asked;     /* some connection is */
    uint8_t scratch[REACTOR_SCRATCH_BYTES];
    bool is_stopping;
    uint64_t sends, answers; /* so far: what was sent, and what was made */

    struct {
        int64_t account_ns; /* below 0 when it lost its processor meanwhile */
        uint64_t last_ns;
        uint64_t sends; /* when it last began */
        /* Since the start, for others to read: all of it, and what found nothing. */
        _Atomic uint64_t total_ns, vain_ns;
    } poll;
    struct tick tick; /* on while somebody gathers, or for CPU_LATENCY */
    struct cpu_latency_user cpu_latency;

    pthread_mutex_t mutex; /* guards: */
    bool stop_wanted;
    struct request_queue came_back;
    unsigned fd_count;
    int fds[LOOP_CONNECTIONS_MAX];
};

/* LOOP is zeroed.  A negative errno. */
int reactor_start(struct reactor *loop, const struct reactor_settings *settings);

/* A new client, whose socket is then the loop's. */
void reactor_give(struct reactor *loop, int fd);

/* A worker is done with REQUEST. */
void reactor_finish(struct reactor *loop, struct request *request);

/* A worker waits for connection_answer_asked(). */
void reactor_ask(struct reactor *loop);

/* Answers what was taken in, as far as that goes quickly, closes all connections and ends.
 * reactor_join() of all loops returns false if that has taken more than some seconds. */
void reactor_stop(struct reactor *loop);
bool reactor_join(struct reactor *loops, unsigned count);

/* After that, and after the workers have ended. */
void reactor_free(struct reactor *loop);

/* What control endpoints tell of REACTORS, of which there are COUNT. */
unsigned reactor_numbers(const struct reactor *loops, unsigned count,
                         struct face_number numbers[FACE_NUMBERS_MAX]);

/* -- For connections. -- */

static inline uint64_t reactor_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void reactor_add(struct connection *connection);
void reactor_remove(struct connection *connection);

/* Whoever gathers for too long is to be found. */
void reactor_watch(struct reactor *loop);
struct workers *reactor_workers(const struct reactor *loop);
struct reactor_clients *reactor_clients(const struct reactor *loop);

#endif
