/* keep.c - keeps a device connected
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "keep.h"
#include "resident.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum outcome { CONNECTED, AGAIN, GONE };

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

/* is_ours: the device is connected, and nobody has disconnected it and connected it to something else, as far as
 * can be told */
static bool is_ours(const struct keep *keep)
{
    const uint64_t now = kernel_connection(keep->index);

    return now == keep->connection || now == KERNEL_UNKNOWN;
}

/* connect_one: a link in the place of a dead one */
static enum outcome connect_one(struct keep *keep, struct why *why)
{
    struct export_info info;
    const int fd = link_open(keep->target, &info, why);

    if (fd < 0)
        return AGAIN;
    if (handshake_is_same(&keep->export_info, &info, why)) {
        close(fd);
        return AGAIN;
    }
    const int error =
        is_ours(keep) ? kernel_replace(keep->kernel, keep->index, fd) : -ENODEV;
    close(fd);
    if (error == -EINVAL || error == -ENODEV)
        return GONE;
    if (error) {
        why_set(why, "the kernel does not take the connection: %s", strerror(-error));
        return AGAIN;
    }
    return CONNECTED;
}

/* listen_to_kernel: for that long, or until a link is dead */
static void listen_to_kernel(struct keep *keep, int timeout_ms)
{
    struct pollfd wait = {.fd = kernel_event_fd(keep->kernel), .events = POLLIN};

    if (poll(&wait, 1, timeout_ms) <= 0)
        return;
    const int more = kernel_dead_links(keep->kernel, keep->index);
    /* A link too many does no harm. */
    if (more < 0 || keep->dead + more > keep->connections)
        keep->dead = keep->connections;
    else
        keep->dead += more;
}

/* listen_for: the events of that long, however many there are */
static void listen_for(struct keep *keep, int delay_ms)
{
    const uint64_t end = now_ms() + delay_ms;

    for (uint64_t now = now_ms(); now < end; now = now_ms())
        listen_to_kernel(keep, end - now);
}

/* wait_longer: before the next attempt, longer each time */
static void wait_longer(struct keep *keep)
{
    listen_for(keep, keep->delay_ms);
    keep->delay_ms =
        keep->delay_ms < KEEP_DELAY_MAX_MS / 2 ? keep->delay_ms * 2 : KEEP_DELAY_MAX_MS;
}

/* reconnect: all dead links, for as long as it takes; GONE or CONNECTED */
static enum outcome reconnect(struct keep *keep)
{
    const uint64_t since = now_ms();
    struct why said = {""};
    struct why why;
    unsigned made = 0;
    bool was_away = false;

    resident_log("%u of %u connections lost", keep->dead, keep->connections);
    if (keep->connected_ms == 0 || since - keep->connected_ms >= KEEP_HOLDS_MS)
        keep->delay_ms = KEEP_DELAY_MIN_MS;
    else
        wait_longer(keep);
    while (keep->dead > 0) {
        /* They die as fast as they are made. */
        if (made == keep->connections) {
            made = 0;
            wait_longer(keep);
        }
        switch (connect_one(keep, &why)) {
        case GONE:
            return GONE;
        case CONNECTED:
            keep->dead--;
            made++;
            keep->connected_ms = now_ms();
            if (was_away)
                keep->delay_ms = KEEP_DELAY_MIN_MS;
            was_away = false;
            break;
        case AGAIN:
            /* Each reason once, or the log would be full of it. */
            if (strcmp(why.sentence, said.sentence))
                resident_log("%s", why.sentence);
            said = why;
            was_away = true;
            wait_longer(keep);
            if (!is_ours(keep))
                return GONE;
        }
        listen_to_kernel(keep, 0);
    }
    resident_log("connected again after %.1f s", (now_ms() - since) / 1e3);
    return CONNECTED;
}

void keep_run(struct keep *keep)
{
    enum outcome outcome = CONNECTED;

    while (outcome != GONE) {
        if (keep->dead > 0) {
            outcome = reconnect(keep);
            continue;
        }
        /* Nobody tells when somebody else disconnects the device. */
        listen_to_kernel(keep, KEEP_LOOK_MS);
        if (keep->dead == 0 && !is_ours(keep))
            outcome = GONE;
    }
    resident_log("disconnected");
}
