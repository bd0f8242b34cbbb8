/* resident.h - a process that works while the kernel has no memory, and that can be found
 *
 * Owns:    the lock of a device, /run/zslot-attach-nbdN.pid: one process looks after a device.
 * Called:  at the start of a process, resident_log() also later.
 * Locks:   that file (flock).
 * Never:   fails because something of resident_become() is not permitted; it says so in the log.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_RESIDENT_H
#define CLIENT_RESIDENT_H

#include <stdint.h>

#include "why.h"

/* Returns a descriptor that holds the lock, also after a fork, or -1. */
int resident_lock(uint32_t index, struct why *why);

/* Writes this process's number into the file. */
void resident_sign(int lock);

/* Ends the process that has the lock, if there is one, and waits until it is gone. */
int resident_end(uint32_t index, struct why *why);

/* In RAM, the last to be killed for want of memory, and allowed to use the last of it, since it is
 * needed to write pages out. After a fork: a child inherits no locks. */
void resident_become(uint32_t index);

/* To the kernel's log, which never waits for a disk. */
void resident_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
