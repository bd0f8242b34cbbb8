/* ram.h - what the kernel says of this process's RAM
 *
 * Owns:    nothing.
 * Called:  by any thread.
 * Locks:   none.
 * Never:   changes anything.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BENCH_RAM_H
#define ZSLOT_BENCH_RAM_H

#include <stdint.h>

/* In bytes, of all mappings: RssAnon plus RssShmem of /proc/self/status. */
uint64_t ram_resident_bytes(void);

/* In bytes, of the mappings whose name in /proc/self/smaps contains NAME; 0 when there are none. */
uint64_t ram_mapping_bytes(const char *name);

#endif
