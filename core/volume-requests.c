/* volume-requests.c - what clients ask of a volume, cut into pages
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>

#include "ahead.h"
#include "extents.h"
#include "read.h"
#include "trim.h"
#include "volume-state.h"
#include "write.h"

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

int volume_try_read(struct volume *volume, uint64_t offset, uint64_t bytes, void *out)
{
    struct parts *parts = &volume->parts;
    char *to = out;

    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    /* All before any: what is read now would be read and counted again. */
    if (parts->writeback && first_part(offset, bytes) < bytes &&
        read_meets_stored(parts, offset / PAGE_BYTES, end_slot(offset, bytes)))
        return -EAGAIN;
    while (bytes > 0) {
        uint32_t part = first_part(offset, bytes);
        int r = read_try_part(parts, offset / PAGE_BYTES,
                              (uint32_t)(offset % PAGE_BYTES), part, to);

        if (r < 0)
            return r;
        offset += part;
        bytes -= part;
        to += part;
    }
    return 0;
}

/* How far it came is *DONE, also when it fails. */
static int write_pages(struct volume *volume, uint64_t offset, uint64_t bytes,
                       const void *data, struct write_terms *terms, uint64_t *done)
{
    const char *from = data;

    *done = 0;
    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    while (*done < bytes) {
        uint64_t at = offset + *done;
        uint32_t part = first_part(at, bytes - *done);
        int r = write_part(&volume->parts, at / PAGE_BYTES, (uint32_t)(at % PAGE_BYTES),
                           part, from + *done, terms);

        if (r < 0)
            return r;
        *done += part;
    }
    return 0;
}

int volume_write(struct volume *volume, uint64_t offset, uint64_t bytes,
                 const void *data)
{
    struct write_terms terms = WRITE_WAITS;
    uint64_t done;

    return write_pages(volume, offset, bytes, data, &terms, &done);
}

int volume_try_write(struct volume *volume, uint64_t offset, uint64_t bytes,
                     const void *data, uint64_t *done)
{
    struct write_terms terms = {.may_wait = false};

    return write_pages(volume, offset, bytes, data, &terms, done);
}

int volume_write_while(struct volume *volume, uint64_t offset, uint64_t bytes,
                       const void *data, volume_wanted_fn *is_wanted, void *opaque)
{
    struct write_terms terms = WRITE_WAITS;
    uint64_t done;

    terms.is_wanted = is_wanted;
    terms.opaque = opaque;
    return write_pages(volume, offset, bytes, data, &terms, &done);
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
