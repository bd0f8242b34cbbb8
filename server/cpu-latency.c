/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "cpu-latency.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_REQUEST (-1)

struct cpu_latency {
    int fd;
    int32_t us;
    pthread_mutex_t mutex;      /* guards: */
    unsigned users;             /* who want it made; it is while there is one */
    uint64_t since_ns, held_ns; /* held before since_ns */
};

int cpu_latency_open(const char *device, unsigned us, struct cpu_latency **latency,
                     struct reason *reason)
{
    struct cpu_latency *self = calloc(1, sizeof *self);

    if (!self)
        return reason_say(reason, -ENOMEM, "cpu-latency=%u: out of memory", us);
    self->us = (int32_t)us;
    self->fd = open(device, O_WRONLY | O_CLOEXEC);
    if (self->fd < 0) {
        int r = -errno;

        free(self);
        return reason_say(reason, r,
                          "cpu-latency=%u: %s cannot be opened: %s; give zslotd's user "
                          "the right to write to it, or leave cpu-latency out",
                          us, device, strerror(-r));
    }
    pthread_mutex_init(&self->mutex, NULL);
    *latency = self;
    return 0;
}

void cpu_latency_close(struct cpu_latency *latency)
{
    if (!latency)
        return;
    close(latency->fd);
    pthread_mutex_destroy(&latency->mutex);
    free(latency);
}

/* The device has no reason to refuse it, and there is nobody to tell. */
static void tell(struct cpu_latency *latency, int32_t us)
{
    while (write(latency->fd, &us, sizeof us) < 0 && errno == EINTR)
        ;
}

static void change(struct cpu_latency *latency, bool wants, uint64_t now_ns)
{
    pthread_mutex_lock(&latency->mutex);
    if (wants && latency->users++ == 0) {
        latency->since_ns = now_ns;
        tell(latency, latency->us);
    } else if (!wants && --latency->users == 0) {
        latency->held_ns += now_ns - latency->since_ns;
        tell(latency, NO_REQUEST);
    }
    pthread_mutex_unlock(&latency->mutex);
}

static void want(struct cpu_latency *latency, struct cpu_latency_user *user, bool wants,
                 uint64_t now_ns)
{
    if (user->wants == wants)
        return;
    user->wants = wants;
    change(latency, wants, now_ns);
}

void cpu_latency_begin(struct cpu_latency_user *user, uint64_t answers, uint64_t now_ns)
{
    user->begun_ns = now_ns;
    user->answers = answers;
}

bool cpu_latency_go_on(struct cpu_latency *latency, struct cpu_latency_user *user,
                       uint64_t answers, uint64_t now_ns)
{
    const uint64_t count = answers - user->answers;

    want(latency, user, count * CPU_LATENCY_US_EACH * 1000 >= now_ns - user->begun_ns,
         now_ns);
    cpu_latency_begin(user, answers, now_ns);
    return count > 0;
}

void cpu_latency_end(struct cpu_latency *latency, struct cpu_latency_user *user,
                     uint64_t now_ns)
{
    want(latency, user, false, now_ns);
}

uint64_t cpu_latency_held_ns(struct cpu_latency *latency, uint64_t now_ns)
{
    pthread_mutex_lock(&latency->mutex);
    uint64_t held_ns = latency->held_ns;
    /* Another thread may have begun it after NOW was. */
    if (latency->users > 0 && now_ns > latency->since_ns)
        held_ns += now_ns - latency->since_ns;
    pthread_mutex_unlock(&latency->mutex);
    return held_ns;
}
