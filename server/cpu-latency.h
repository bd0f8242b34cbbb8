/* cpu-latency.h - keeps idle processors from deep sleep while clients are busy
 *
 * Owns:    the process's request to the kernel, an open device; of each loop, whether it wants it made.
 * Called:  open and close by who starts and ends the loops; the rest by loops, each for its own user, and
 *          cpu_latency_held_ns() by any thread.
 * Locks:   one mutex, for what all loops want together; the kernel is told under it.
 * Never:   fails a request, or tells the kernel more than once in a loop's period.
 *
 * A client that waits for an answer sleeps, and so does its processor. To wake that can take longer than the
 * request: in a virtual machine an idle processor is given back to the host, elsewhere there are deep C-states.
 * The kernel lets a process say how long that may take, for as long as it has /dev/cpu_dma_latency open (CPU latency
 * quality of service, Documentation/power/pm_qos_interface.rst in Linux): 32 bits with a sign, of the machine's byte
 * order, written to it, in microseconds; -1 takes the request back. With 0 idle processors do not sleep, but
 * spin.
 *
 * That is for all processors, and costs power, or the host's processors. So it holds only while there are enough
 * answers for it: a loop looks at the end of each period, of CPU_LATENCY_PERIOD_MS or thereabouts, and wants the request
 * made when there was one answer for each CPU_LATENCY_US_EACH, and not any more when there was less than half of that.  An
 * idle server has no timer.  A process that is stopped keeps the request, one that ends does not.
 *
 * Only cpuidle heeds it, the part of Linux that chooses how processors sleep.  Without a driver for it, as in many virtual
 * machines, they sleep in one way only.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_CPU_LATENCY_H
#define ZSLOT_CPU_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "reason.h"

#define CPU_LATENCY_DEVICE "/dev/cpu_dma_latency"
#define CPU_LATENCY_DRIVER "/sys/devices/system/cpu/cpuidle/current_driver"
#define CPU_LATENCY_US_MAX 10000
#define CPU_LATENCY_PERIOD_MS 5u
#define CPU_LATENCY_US_EACH 1000u

struct cpu_latency;

/* Of one loop; zeroed. */
struct cpu_latency_user {
    bool wants;
    uint64_t begun_ns, answers; /* when the period began */
};

/* DEVICE is CPU_LATENCY_DEVICE but for tests; US is 0 to CPU_LATENCY_US_MAX.  A negative errno with a sentence. */
int cpu_latency_open(const char *device, unsigned us, struct cpu_latency **latency,
                     struct reason *reason);

/* Or NULL.  Takes the request back. */
void cpu_latency_close(struct cpu_latency *latency);

/* Whether the kernel is seen to have a driver of cpuidle, by DRIVER, which is CPU_LATENCY_DRIVER but for tests. */
bool cpu_latency_is_heeded(const char *driver);

/* Begins a period, at which there have been ANSWERS since the start. */
void cpu_latency_begin(struct cpu_latency_user *user, uint64_t answers,
                       uint64_t now_ns);

/* Ends it, and begins the next one; or goes on with it, if less than half of it has passed.  False: no answer came, and no
 * period is needed until there is one. */
bool cpu_latency_go_on(struct cpu_latency *latency, struct cpu_latency_user *user,
                       uint64_t answers, uint64_t now_ns);

/* The loop ends. */
void cpu_latency_end(struct cpu_latency *latency, struct cpu_latency_user *user,
                     uint64_t now_ns);

/* How long the request was made so far; never less than it has said before. */
uint64_t cpu_latency_held_ns(struct cpu_latency *latency, uint64_t now_ns);

#endif
