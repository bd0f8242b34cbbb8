/* in-use.h - who would lose something if a device were disconnected
 *
 * Owns:    nothing.
 * Called:  by one thread.
 * Locks:   nothing.
 * Never:   opens the device: that reads its partitions, and would wait for a server that is away.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_IN_USE_H
#define CLIENT_IN_USE_H

#include <stdint.h>

#include "why.h"

/* -1 and a sentence if /dev/nbdINDEX, or a partition of it, is swap space, mounted as far as
 * this process sees, or a part of a device above it (RAID, device mapper, loop) or of a btrfs of
 * several devices. */
int in_use_check(uint32_t index, struct why *why);

/* The same for a list of mounts as in proc(5), /proc/[pid]/mountinfo; for tests. */
int in_use_check_mounts(const char *mounts, uint32_t index, struct why *why);

/* And for one as in /proc/swaps; and for what sysfs says at SYS. */
int in_use_check_swaps(const char *swaps, uint32_t index, struct why *why);
int in_use_check_sysfs(const char *sys, uint32_t index, struct why *why);

#endif
