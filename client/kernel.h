/* kernel.h - the kernel's NBD devices, by netlink
 *
 * Owns:    two netlink sockets: one for requests, one for events.
 * Called:  by one thread.
 * Locks:   nothing.
 * Never:   allocates after kernel_open(): messages are built where they are (libmnl).
 *
 * Only a device that was connected by netlink can get new sockets while it is in use; the ioctls of
 * old cannot do that, nor set how long requests wait while no connection is left.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_KERNEL_H
#define CLIENT_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "why.h"

struct kernel {
    struct mnl_socket *requests;
    struct mnl_socket *events;
    uint16_t family;
    uint32_t group;
    uint32_t sequence;
};

struct device_settings {
    uint64_t size_bytes;
    uint64_t flags; /* of the transmission phase, as the server told them */
    uint64_t block_bytes;
    uint64_t request_timeout_s; /* 0: the kernel's own */
    uint64_t dead_timeout_s;
};

int kernel_open(struct kernel *kernel, struct why *why);
void kernel_close(struct kernel *kernel);

/* The kernel has its own references to the sockets; the caller closes his. */
int kernel_connect(struct kernel *kernel, uint32_t index,
                   const struct device_settings *settings, const int *sockets,
                   unsigned count, struct why *why);
int kernel_disconnect(struct kernel *kernel, uint32_t index, struct why *why);

/* Gives the device a socket in the place of a dead one; when none is dead, it is not used, and no
 * error. Returns 0 or a negative errno; -EINVAL and -ENODEV if the device is not connected. */
int kernel_replace(struct kernel *kernel, uint32_t index, int socket);

/* Becomes readable by an event; kernel_dead_links() takes what there is, without waiting, and
 * returns how many links of the device have died, or -1 if events were lost. */
int kernel_event_fd(const struct kernel *kernel);
int kernel_dead_links(struct kernel *kernel, uint32_t index);

/* By sysfs. */
bool kernel_has_device(uint32_t index);
bool kernel_is_connected(uint32_t index);

/* A number that the device has for as long as it is connected, 0 if it is not: another one tells that somebody has
 * disconnected it and connected it to something else. */
#define KERNEL_UNKNOWN UINT64_MAX
uint64_t kernel_connection(uint32_t index);
uint64_t kernel_size_bytes(uint32_t index);

#endif
