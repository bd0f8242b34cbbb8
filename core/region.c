/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "region.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "page.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14, include/uapi/asm-generic/mman-common.h */
#endif

/* Small enough for VmLck to be near what is used, and few enough in a large region; in
 * the largest what is used lies together, mostly, and neighbouring granules cost one
 * mapping. */
#define GRANULE_BYTES_MIN (64u * 1024)
#define GRANULE_BYTES_MAX (1024u * 1024)
#define GRANULES_FEW 16384u

static uint64_t granule_bytes_for(uint64_t bytes)
{
    uint64_t granule = GRANULE_BYTES_MIN;

    while (granule < GRANULE_BYTES_MAX && bytes / granule > GRANULES_FEW)
        granule *= 2;
    return granule;
}

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* Opens what a shared region is a mapping of. */
static int open_content(struct region *region, const char *name)
{
    struct stat status;

    if (region->memory->directory < 0)
        region->fd = memfd_create(name, MFD_CLOEXEC);
    else
        region->fd = openat(region->memory->directory, name,
                            O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (region->fd < 0 || fstat(region->fd, &status) < 0)
        return -errno;
    if (status.st_size == 0)
        return ftruncate(region->fd, (off_t)region->bytes) < 0 ? -errno : 0;
    return (uint64_t)status.st_size == region->bytes ? 0 : -EUCLEAN;
}

int region_open(struct region *region, enum region_kind kind, const char *name,
                uint64_t bytes, struct memory *memory, bool lock_in_ram)
{
    int err;

    *region = (struct region){
        .bytes = round_up(bytes, PAGE_BYTES),
        .kind = kind,
        .fd = -1,
        .memory = memory,
        .lock_in_ram = lock_in_ram,
        .granule_bytes = granule_bytes_for(bytes),
    };

    int flags = MAP_NORESERVE;
    if (kind == REGION_SHARED) {
        err = open_content(region, name);
        if (err < 0)
            goto close_fd;
        flags |= MAP_SHARED;
    } else
        flags |= MAP_PRIVATE | MAP_ANONYMOUS;

    void *base = mmap(NULL, region->bytes, PROT_NONE, flags, region->fd, 0);
    if (base == MAP_FAILED) {
        err = -errno;
        goto close_fd;
    }

    if (lock_in_ram) {
        uint64_t granules =
            round_up(region->bytes, region->granule_bytes) / region->granule_bytes;
        void *counts = mmap(NULL, granules * sizeof *region->granule_pages,
                            PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (counts == MAP_FAILED) {
            err = -errno;
            goto unmap;
        }
        region->granule_pages = counts;
    }

    lock_init(&region->lock, LOCK_RANK_REGION);
    region->base = base;
    return 0;

unmap:
    munmap(base, region->bytes);
close_fd:
    if (region->fd >= 0)
        close(region->fd);
    return err;
}

int region_start(struct region *region)
{
    /* Access only after the lock is off: see Life in the header. */
    if (munlock(region->base, region->bytes) < 0 ||
        mprotect(region->base, region->bytes, PROT_READ | PROT_WRITE) < 0)
        return -errno;
    /* A huge page would bring in 2 MiB where 4 KiB were charged.  Kernels without huge
     * pages answer EINVAL, which is as good. */
    madvise(region->base, region->bytes, MADV_NOHUGEPAGE);
    return 0;
}

void region_close(struct region *region)
{
    if (!region->base)
        return;
    munmap(region->base, region->bytes);
    if (region->fd >= 0)
        close(region->fd);
    if (region->granule_pages)
        munmap(region->granule_pages, round_up(region->bytes, region->granule_bytes) /
                                          region->granule_bytes *
                                          sizeof *region->granule_pages);
    lock_destroy(&region->lock);
    region->base = NULL;
}

/* The last granule may be cut short by the end of the region. */
static uint64_t granule_length(const struct region *region, uint64_t granule)
{
    uint64_t start = granule * region->granule_bytes;
    uint64_t left = region->bytes - start;

    return left < region->granule_bytes ? left : region->granule_bytes;
}

/* Counts PAGES out of a granule, and unlocks it when they were the last. */
static void granule_drop(struct region *region, uint64_t granule, uint32_t pages)
{
    assert(region->granule_pages[granule] >= pages);
    region->granule_pages[granule] -= pages;
    if (region->granule_pages[granule] == 0)
        munlock(region->base + granule * region->granule_bytes,
                granule_length(region, granule));
}

/* How much of [*OFFSET, END) lies in its first granule, in pages; moves *OFFSET past
 * it. */
static uint32_t granule_step(const struct region *region, uint64_t *offset,
                             uint64_t end)
{
    uint64_t stop = (*offset / region->granule_bytes + 1) * region->granule_bytes;

    if (stop > end)
        stop = end;
    uint32_t pages = (uint32_t)((stop - *offset) / PAGE_BYTES);
    *offset = stop;
    return pages;
}

static void region_unlock_ram(struct region *region, uint64_t offset, uint64_t bytes)
{
    LOCK_FOR_SCOPE(&region->lock);

    for (uint64_t at = offset; at < offset + bytes;) {
        uint64_t granule = at / region->granule_bytes;
        granule_drop(region, granule, granule_step(region, &at, offset + bytes));
    }
}

static int region_lock_ram(struct region *region, uint64_t offset, uint64_t bytes)
{
    LOCK_FOR_SCOPE(&region->lock);

    for (uint64_t at = offset; at < offset + bytes;) {
        uint64_t start = at, granule = at / region->granule_bytes;
        uint32_t pages = granule_step(region, &at, offset + bytes);

        if (region->granule_pages[granule] == 0 &&
            mlock2(region->base + granule * region->granule_bytes,
                   granule_length(region, granule), MLOCK_ONFAULT) < 0) {
            for (uint64_t back = offset; back < start;) {
                uint64_t taken = back / region->granule_bytes;
                granule_drop(region, taken, granule_step(region, &back, start));
            }
            return -ENOMEM; /* over RLIMIT_MEMLOCK, or over vm.max_map_count */
        }
        region->granule_pages[granule] += pages;
    }
    return 0;
}

/* Gives the pages back to the system; neither charges nor locks change. */
static void region_depopulate(struct region *region, uint64_t offset, uint64_t bytes)
{
    if (region->kind == REGION_SHARED)
        fallocate(region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                  (off_t)bytes);
    else {
        /* MADV_DONTNEED is refused on locked memory. */
        if (region->lock_in_ram)
            munlock(region->base + offset, bytes);
        madvise(region->base + offset, bytes, MADV_DONTNEED);
    }
}

int region_commit(struct region *region, uint64_t offset, uint64_t bytes)
{
    int r = memory_charge(region->memory, bytes);
    if (r < 0)
        return r;

    if (region->lock_in_ram) {
        r = region_lock_ram(region, offset, bytes);
        if (r < 0)
            goto uncharge;
    }

    /* EINVAL is a kernel before 5.14: there the first touch brings the page in. */
    if (madvise(region->base + offset, bytes, MADV_POPULATE_WRITE) < 0 &&
        errno != EINVAL) {
        r = -ENOMEM;
        goto undo;
    }
    return 0;

undo:
    region_depopulate(region, offset, bytes);
    if (region->lock_in_ram)
        region_unlock_ram(region, offset, bytes);
uncharge:
    memory_uncharge(region->memory, bytes);
    return r;
}

void region_release(struct region *region, uint64_t offset, uint64_t bytes)
{
    region_depopulate(region, offset, bytes);
    if (region->lock_in_ram)
        region_unlock_ram(region, offset, bytes);
    memory_uncharge(region->memory, bytes);
}

bool region_next_content(const struct region *region, uint64_t offset, uint64_t *start,
                         uint64_t *end)
{
    off_t from = lseek(region->fd, (off_t)offset, SEEK_DATA);
    if (from < 0 && errno == ENXIO)
        return false; /* nothing but a hole up to the end */
    off_t to = from < 0 ? -1 : lseek(region->fd, from, SEEK_HOLE);
    if (from < 0)
        from = (off_t)offset; /* not known: so there may be something */

    *start = (uint64_t)from / PAGE_BYTES * PAGE_BYTES;
    *end = to < 0 ? region->bytes : round_up((uint64_t)to, PAGE_BYTES);
    return *start < region->bytes;
}

int region_adopt(struct region *region, uint64_t offset, uint64_t bytes)
{
    int r = memory_charge(region->memory, bytes);
    if (r < 0 || !region->lock_in_ram)
        return r;
    r = region_lock_ram(region, offset, bytes);
    if (r == 0 && madvise(region->base + offset, bytes, MADV_POPULATE_WRITE) < 0 &&
        errno != EINVAL) {
        region_unlock_ram(region, offset, bytes);
        r = -ENOMEM;
    }
    if (r < 0)
        memory_uncharge(region->memory, bytes);
    return r;
}

void region_clear(struct region *region, uint64_t offset, uint64_t bytes)
{
    region_depopulate(region, offset, bytes);
}
