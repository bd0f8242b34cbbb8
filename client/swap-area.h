/* swap-area.h - a device as swap space
 *
 * Owns:    nothing; a device is opened for the time of a call.
 * Called:  at the start and at the end, while the device is looked after by the resident process.
 * Locks:   nothing.
 * Never:   writes to a device on which libblkid finds anything.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_SWAP_AREA_H
#define CLIENT_SWAP_AREA_H

#include "why.h"

/* Makes a swap area, unless there is one. Refuses a device that holds something else. */
int swap_area_make(const char *device, struct why *why);

/* Discards all of it once, and what is freed from then on. */
int swap_area_on(const char *device, int priority, struct why *why);

/* 0 also if it is not in use. */
int swap_area_off(const char *device, struct why *why);

#endif
