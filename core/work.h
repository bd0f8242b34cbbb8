/* work.h - how far long work has come, and whether it shall end
 *
 * Owns:    nothing.
 * Called:  by who works, and by who looks on from another thread.
 * Locks:   none; all of it is atomic.
 * Never:   says what is counted: that is for who works.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_WORK_H
#define ZSLOT_WORK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct work {
    _Atomic uint64_t done, total; /* steps: slots, or size classes */
    _Atomic uint64_t pages;       /* that it was about */
    _Atomic uint64_t bytes;       /* written, or come free */
    _Atomic bool cancelled;       /* to be looked at now and then */
};

#endif
