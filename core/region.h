/* region.h - a large, sparse mapping whose parts get RAM one by one
 *
 * Owns:    the mapping, its memfd, and which parts of it are locked in RAM.
 * Called:  by request threads, at the same time; open, start and close by one thread.
 * Locks:   LOCK_RANK_REGION, only when parts are locked in RAM.
 * Never:   decides who uses which part.
 *
 * Life. region_open() reserves the addresses without any access, before nbdkit forks;
 * region_start() makes them usable, after it.  Between the two, an
 * mlockall(MCL_CURRENT) by whoever hosts us finds nothing that it could fill, and an
 * mlockall(MCL_FUTURE) from before is undone for this mapping: otherwise either would
 * bring the whole sparse mapping into RAM.
 *
 * RAM. A part is charged, populated and, when wanted, locked by region_commit() before
 * it is touched.  Populating by madvise() rather than by a page fault turns "no memory"
 * and "the tmpfs is full" into an error for one write, where the fault would be SIGBUS
 * for the server.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_REGION_H
#define ZSLOT_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "lock.h"
#include "memory.h"

enum region_kind {
    REGION_SHARED, /* content: a memfd or a file of a state (state.h), whose unused parts
                     * go back by hole punching */
    REGION_PRIVATE, /* an index, rebuilt at start; reading an untouched part costs no RAM */
};

struct region {
    char *base; /* page aligned; NULL when closed */
    uint64_t bytes;
    enum region_kind kind;
    int fd; /* REGION_SHARED */
    struct memory *memory;

    /* Locking in RAM goes by granules, since each locked range costs the kernel a
     * mapping of its own and a process has at most 65530 of them (vm.max_map_count).
     * Pages of a locked granule are only brought in by use (MLOCK_ONFAULT): VmLck is
     * rounded up to granules, RAM is not. */
    bool lock_in_ram;
    uint64_t granule_bytes;
    uint32_t *granule_pages; /* per granule: OS pages committed; guarded by lock */
    struct lock lock;
};

/* Reserves BYTES (rounded up to whole pages) of address space.  NAME shows in
 * /proc/PID/maps, and is that of the file if MEMORY says where shared regions are files.
 * MEMORY is borrowed until region_close().  -ENOMEM: no address space or no descriptor.
 * -EUCLEAN: there is such a file, and it is not of this size. */
int region_open(struct region *region, enum region_kind kind, const char *name,
                uint64_t bytes, struct memory *memory, bool lock_in_ram);

/* Makes the region usable.  A negative errno, after which only region_close() may
 * follow. */
int region_start(struct region *region);

/* Unmaps.  Does nothing for a region that was zeroed and never opened. */
void region_close(struct region *region);

/* Brings BYTES at OFFSET (both multiples of PAGE_BYTES, not committed now) into RAM,
 * zeroed; or as it was, where a former process left something in a file.  -ENOSPC: past
 * the memory limit.  -ENOMEM: the system has no memory, or will not lock it.  On failure
 * nothing has changed. */
int region_commit(struct region *region, uint64_t offset, uint64_t bytes);

/* Gives RAM back: what region_commit() brought in.  The content is zeroes
 * afterwards. */
void region_release(struct region *region, uint64_t offset, uint64_t bytes);

/* -- What a former process left in the file of a shared region. -- */

/* The first run of pages with RAM that ends behind OFFSET, cut to what is behind OFFSET.
 * False: there are no more. */
bool region_next_content(const struct region *region, uint64_t offset, uint64_t *start,
                         uint64_t *end);

/* Takes over what was left at OFFSET, as region_commit() does, with the same errors.  What is
 * in RAM already is mapped when it is touched: to map 1 GiB takes most of a second, and a
 * fault there needs no memory that could be lacking.  What is to be locked is mapped now. */
int region_adopt(struct region *region, uint64_t offset, uint64_t bytes);

/* Gives back RAM that was not committed since. */
void region_clear(struct region *region, uint64_t offset, uint64_t bytes);

#endif
