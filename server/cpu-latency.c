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
    uint64_t said_ns;           /* the most that was */
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
        return reason_say(
            reason, r, "cpu-latency=%u: %s: %s; %s, or leave cpu-latency out", us,
            device, strerror(-r),
            r == -EACCES || r == -EPERM ? "give zslotd's user the right to write to it"
                                        : "let zslotd see the kernel's device");
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

bool cpu_latency_is_heeded(const char *driver)
{
    static const char none[] = "none";
    char name[sizeof none] = "";
    int fd = open(driver, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    ssize_t bytes = read(fd, name, sizeof none - 1);
    close(fd);
    return bytes > 0 && strcmp(name, none) != 0;
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

/* Whether COUNT answers in PASSED_NS are enough; to end it takes fewer than to begin it, or it might change each time. */
static bool are_enough(const struct cpu_latency_user *user, uint64_t count,
                       uint64_t passed_ns)
{
    const uint64_t ns_each = CPU_LATENCY_US_EACH * UINT64_C(1000);

    return count * ns_each * (user->wants ? 2 : 1) >= passed_ns;
}

bool cpu_latency_go_on(struct cpu_latency *latency, struct cpu_latency_user *user,
                       uint64_t answers, uint64_t now_ns)
{
    const uint64_t count = answers - user->answers, passed_ns = now_ns - user->begun_ns;

    /* One that was late; of so short a time nothing can be said. */
    if (passed_ns < CPU_LATENCY_PERIOD_MS * UINT64_C(500000))
        return true;
    want(latency, user, are_enough(user, count, passed_ns), now_ns);
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
    /* The loop's clock and the caller's were looked at before this lock was taken. */
    if (latency->users > 0 && now_ns > latency->since_ns)
        held_ns += now_ns - latency->since_ns;
    if (held_ns < latency->said_ns)
        held_ns = latency->said_ns;
    latency->said_ns = held_ns;
    pthread_mutex_unlock(&latency->mutex);
    return held_ns;
}
