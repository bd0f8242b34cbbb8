/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "volume.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "ahead.h"
#include "check.h"
#include "compact.h"
#include "extents.h"
#include "parts.h"
#include "process.h"
#include "read.h"
#include "trim.h"
#include "write.h"
#include "writeback.h"

_Static_assert(VOLUME_PAGE_BYTES == PAGE_BYTES, "volume.h repeats it for the faces");

/* What a volume needs beyond its fixed parts to be of any use. */
#define ROOM_BYTES_MIN (UINT64_C(1) << 20)

enum { IDENTITY_BYTES = 16 };

struct volume {
    struct options options;
    struct parts parts;
    bool process_locked;
    char identity[2 * IDENTITY_BYTES + 1];
};

/* -- Opening, before a fork. -- */

static uint64_t least_bytes(const struct options *options)
{
    return slot_table_fixed_bytes(options->size / PAGE_BYTES) +
           context_set_bytes(context_count_default(), options->compressor) +
           ROOM_BYTES_MIN;
}

static int check_limit(const struct options *options, uint64_t least,
                       struct reason *reason)
{
    if (options->memory_limit >= least)
        return 0;
    return reason_say(
        reason, -EINVAL,
        "memory-limit=%s: tables and codecs for this size and compressor "
        "take %" PRIu64 " bytes, and pages need some more; write at least "
        "memory-limit=%" PRIu64 "k",
        options->memory_limit_text, least - ROOM_BYTES_MIN, (least + 1023) / 1024);
}

/* With a bound on locked memory writes would begin to fail one day: it counts granules
 * (region.h) and all else that the process has locked, so no bound is known to
 * suffice. */
static int check_lock_limit(const struct options *options, struct reason *reason)
{
    if (!options->memory_lock || process_may_lock())
        return 0;
    return reason_say(
        reason, -EPERM,
        "memory-lock=true: this process may lock only so much memory; lift the "
        "limit (ulimit -l unlimited, LimitMEMLOCK=infinity in a unit) or give it "
        "CAP_IPC_LOCK");
}

static int open_parts(struct volume *volume)
{
    const struct options *options = &volume->options;
    struct parts *parts = &volume->parts;
    struct memory *memory = &parts->memory;
    slot_t slots = options->size / PAGE_BYTES;

    memory_init(memory, options->memory_limit);
    lock_init(&parts->compact_lock, LOCK_RANK_COMPACT);
    int r = slot_table_open(&parts->slots, slots, memory, options->memory_lock);
    if (r == 0)
        r = pool_open(&parts->pool, slots, memory, options->memory_lock);
    if (r == 0)
        r = context_set_open(&parts->contexts, context_count_default(),
                             options->compressor, memory, options->memory_lock);
    return r;
}

int volume_set_backing(struct volume *volume, struct backing *backing,
                       struct reason *reason)
{
    const struct options *options = &volume->options;
    int r = check_limit(options, least_bytes(options) + writeback_bytes(backing->bytes),
                        reason);
    if (r < 0)
        return r;
    backing->timeout_ms = options->backing_timeout * 1000;
    const struct writeback_policy policy = {
        .idle_age_s = options->idle_age,
        .bytes_per_day = options->writeback_limit,
    };
    r = writeback_open(&volume->parts, backing, &policy, options->memory_lock,
                       &volume->parts.writeback);
    return r < 0 ? reason_say(reason, r, "cannot set up writeback: %s", strerror(-r))
                 : 0;
}

static int open_backing(struct volume *volume, struct reason *reason)
{
    const struct options *options = &volume->options;
    struct backing *backing;

    if (!options->backing)
        return 0;
    int r = backing_open(options->backing, options->backing_size, options->size,
                         options->backing_overwrite, options->backing_timeout * 1000,
                         &backing, reason);
    if (r < 0)
        return r;
    r = volume_set_backing(volume, backing, reason);
    if (r < 0)
        backing->ops->close(backing);
    return r;
}

static int choose_identity(struct volume *volume)
{
    unsigned char random[IDENTITY_BYTES];

    if (getrandom(random, sizeof random, 0) != sizeof random)
        return -errno;
    for (unsigned i = 0; i < IDENTITY_BYTES; i++)
        sprintf(volume->identity + 2 * i, "%02x", random[i]);
    return 0;
}

int volume_open(const struct options *options, struct volume **volume,
                struct reason *reason)
{
    int r = options_complete(options, reason);
    if (r < 0)
        return r;

    uint64_t least = least_bytes(options);
    if ((r = check_limit(options, least, reason)) < 0 ||
        (r = check_lock_limit(options, reason)) < 0)
        return r;

    struct volume *made = calloc(1, sizeof *made);
    if (!made)
        return reason_say(reason, -ENOMEM, "no memory for the volume");
    made->options = *options;
    r = open_parts(made);
    if (r < 0) {
        reason_say(reason, r, "cannot reserve address space for %" PRIu64 " bytes: %s",
                   options->size, strerror(-r));
        volume_close(made);
        return r;
    }
    r = choose_identity(made);
    if (r < 0)
        reason_say(reason, r, "no random numbers: %s", strerror(-r));
    else
        r = open_backing(made, reason);
    if (r < 0) {
        volume_close(made);
        return r;
    }
    *volume = made;
    return 0;
}

/* -- Starting, after it. -- */

int volume_start(struct volume *volume, struct reason *reason)
{
    struct parts *parts = &volume->parts;

    if (volume->options.memory_lock)
        volume->process_locked = process_lock() == 0;

    int r = slot_table_start(&parts->slots);
    if (r == 0)
        r = pool_start(&parts->pool);
    if (r == 0)
        r = context_set_start(&parts->contexts);
    if (r == 0 && parts->writeback)
        r = writeback_start(parts->writeback);
    if (r < 0)
        return reason_say(reason, r, "cannot get memory to start with: %s",
                          strerror(-r));
    return 0;
}

void volume_close(struct volume *volume)
{
    if (!volume)
        return;
    writeback_close(volume->parts.writeback);
    context_set_close(&volume->parts.contexts);
    pool_close(&volume->parts.pool);
    slot_table_close(&volume->parts.slots);
    lock_destroy(&volume->parts.compact_lock);
    free(volume);
}

uint64_t volume_size_bytes(const struct volume *volume)
{
    return volume->options.size;
}

const char *volume_identity(const struct volume *volume)
{
    return volume->identity;
}

const char *volume_backing_name(unsigned i)
{
    return backing_names[i];
}

bool volume_process_is_locked(const struct volume *volume)
{
    return volume->process_locked;
}

/* -- Requests, cut into pages. -- */

static bool is_within(const struct volume *volume, uint64_t offset, uint64_t bytes)
{
    return offset <= volume->options.size && bytes <= volume->options.size - offset;
}

/* The part of a request that lies in its first page. */
static uint32_t first_part(uint64_t offset, uint64_t bytes)
{
    uint32_t part = PAGE_BYTES - (uint32_t)(offset % PAGE_BYTES);

    return bytes < part ? (uint32_t)bytes : part;
}

/* The slot behind the last one of a request. */
static slot_t end_slot(uint64_t offset, uint64_t bytes)
{
    return (offset + bytes + PAGE_BYTES - 1) / PAGE_BYTES;
}

int volume_read(struct volume *volume, uint64_t offset, uint64_t bytes, void *out)
{
    struct parts *parts = &volume->parts;
    struct ahead several, *ahead = NULL;
    char *to = out;
    int r = 0;

    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    if (first_part(offset, bytes) < bytes) {
        ahead = &several;
        ahead_open(ahead, parts, end_slot(offset, bytes));
    }
    while (r == 0 && bytes > 0) {
        uint32_t part = first_part(offset, bytes);

        r = read_part(parts, ahead, offset / PAGE_BYTES,
                      (uint32_t)(offset % PAGE_BYTES), part, to);
        offset += part;
        bytes -= part;
        to += part;
    }
    if (ahead)
        ahead_close(ahead);
    return r;
}

int volume_write(struct volume *volume, uint64_t offset, uint64_t bytes,
                 const void *data)
{
    struct parts *parts = &volume->parts;
    const char *from = data;

    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    while (bytes > 0) {
        uint32_t part = first_part(offset, bytes);
        int r = write_part(parts, offset / PAGE_BYTES, (uint32_t)(offset % PAGE_BYTES),
                           part, from);

        if (r < 0)
            return r;
        offset += part;
        bytes -= part;
        from += part;
    }
    return 0;
}

int volume_trim(struct volume *volume, uint64_t offset, uint64_t bytes)
{
    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    trim_range(&volume->parts, offset, bytes);
    return 0;
}

int volume_zero(struct volume *volume, uint64_t offset, uint64_t bytes)
{
    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    return trim_zero(&volume->parts, offset, bytes);
}

int volume_flush(struct volume *volume)
{
    (void)volume;
    return 0;
}

int volume_cache(struct volume *volume, uint64_t offset, uint64_t bytes)
{
    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    if (!volume->parts.writeback || bytes == 0)
        return 0;
    return read_cache(&volume->parts, offset / PAGE_BYTES, end_slot(offset, bytes));
}

int volume_extents(struct volume *volume, uint64_t offset, uint64_t bytes,
                   volume_extent_fn *fn, void *opaque)
{
    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    return extents_walk(&volume->parts, offset, bytes, fn, opaque);
}

/* -- Care and figures. -- */

uint64_t volume_compact(struct volume *volume)
{
    return compact_all(&volume->parts);
}

int volume_writeback(struct volume *volume)
{
    if (!volume->parts.writeback)
        return -EINVAL;
    return writeback_all(volume->parts.writeback);
}

/* The statistics that no context counts. */
static uint64_t ask(struct volume *volume, enum stat_id stat)
{
    struct parts *parts = &volume->parts;
    struct writeback_stats writeback = {0};

    if (parts->writeback)
        writeback_ask(parts->writeback, &writeback);
    switch (stat) {
    case STAT_disk_size:
        return volume->options.size;
    case STAT_mem_used_total:
        return memory_used_bytes(&parts->memory);
    case STAT_mem_limit:
        return parts->memory.limit_bytes == UINT64_MAX ? 0 : parts->memory.limit_bytes;
    case STAT_mem_used_max:
        return parts->memory.peak_bytes;
    case STAT_pool_free_size:
        return pool_free_bytes(&parts->pool);
    case STAT_bd_writes:
        return writeback.evicted_pages;
    case STAT_bd_evicted_size:
        return writeback.evicted_bytes;
    case STAT_bd_written_size:
        return writeback.written_bytes;
    case STAT_bd_used_size:
        return writeback.used_bytes;
    case STAT_bd_live_size:
        return writeback.live_bytes;
    case STAT_blocks_cleaned:
        return writeback.blocks_cleaned;
    case STAT_failed_writebacks:
        return writeback.failed_segments;
    case STAT_corrupt_objects:
        return writeback.corrupt_objects;
    default:
        return 0;
    }
}

void volume_stats(struct volume *volume, struct stats *stats)
{
#define CONTEXT(stat) (uint64_t) context_set_sum(&volume->parts.contexts, stat)
#define VOLUME(stat) ask(volume, stat)
#define STAT(name, kind, unit, source, help)                                           \
    stats->values[STAT_##name] = source(STAT_##name);
#include "stats.def"
#undef STAT
#undef CONTEXT
#undef VOLUME
}

int volume_check(struct volume *volume, struct reason *reason)
{
    return check_parts(&volume->parts, reason);
}
