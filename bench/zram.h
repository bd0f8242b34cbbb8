/* zram.h - the kernel's compressed RAM disk, as a peer
 *
 * Owns:    /dev/zram0 between zram_open() and zram_close().
 * Called:  by one thread.
 * Locks:   the device, against other programs that ask (O_EXCL).
 * Never:   touches a device that is in use; leaves one set up, also when the program is killed by
 *          a signal that can be caught.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BENCH_ZRAM_H
#define ZSLOT_BENCH_ZRAM_H

#include <stdint.h>

#include "reason.h"

/* Sets the device up with BYTES and ALGORITHM.  A negative errno with a sentence: there is none,
 * it is in use, this is not root. */
int zram_open(uint64_t bytes, const char *algorithm, struct reason *reason);

/* Resets the device, and gives it back the algorithm it had. */
void zram_close(void);

/* One page, past the page cache.  0 or a negative errno. */
int zram_write(uint64_t slot, const void *page);

/* mem_used_total of mm_stat, in bytes: the pool, without the table of slots. */
uint64_t zram_used_bytes(void);

int zram_compact(void); /* 0 or a negative errno */

#endif
