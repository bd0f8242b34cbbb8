/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "tick.h"

#include <errno.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static void set(const struct tick *tick, unsigned ms)
{
    const struct timespec after = {.tv_nsec = (long)ms * 1000000};
    const struct itimerspec each = {.it_value = after, .it_interval = after};

    timerfd_settime(tick->fd, 0, &each, NULL);
}

static void on_tick(int fd, short what, void *opaque)
{
    struct tick *tick = opaque;
    uint64_t count;

    (void)what;
    if (read(fd, &count, sizeof count) < 0 || tick->fn(tick->opaque))
        return;
    tick->is_on = false;
    set(tick, 0);
}

int tick_open(struct tick *tick, struct event_base *base, unsigned ms,
              bool (*fn)(void *opaque), void *opaque)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    *tick = (struct tick){.fd = fd, .ms = ms, .fn = fn, .opaque = opaque};
    tick->event = event_new(base, fd, EV_READ | EV_PERSIST, on_tick, tick);
    if (tick->event && event_add(tick->event, NULL) == 0)
        return 0;
    if (tick->event)
        event_free(tick->event);
    tick->event = NULL;
    close(fd);
    return -ENOMEM;
}

void tick_close(struct tick *tick)
{
    if (!tick->event)
        return;
    event_free(tick->event);
    close(tick->fd);
    tick->event = NULL;
}

void tick_start(struct tick *tick)
{
    if (tick->is_on)
        return;
    tick->is_on = true;
    set(tick, tick->ms);
}
