/* volume.h - one volume: the header of core that the faces include
 *
 * Owns:    all below it, from open to close.
 * Called:  open, start and close by one thread; the rest by any number of threads
 *          between volume_start() and volume_close().
 * Locks:   none of its own.
 * Never:   knows NBD, prints, or exits.
 *
 * Life. volume_open() finds out all that can fail before a fork; volume_start() makes
 * the memory usable after it, and locks it in RAM when asked to.  volume_close() frees
 * everything, started or not.  A volume that is never closed leaves nothing behind: its
 * memory has no name.
 *
 * Ranges are in bytes and may begin and end anywhere within the size.  A request is
 * served page by page: requests that overlap in time may be seen interleaved, at the
 * granularity of a page. Errors are negative errno values:
 *   -EINVAL the range is not within the volume -ENOSPC past memory-limit; the pages
 *   before the one in question are written, it and
 *            those after it are as they were
 *   -ENOMEM  the system has no memory, or none that it will lock; the same
 *   -EIO     a page cannot be read
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_VOLUME_H
#define ZSLOT_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"
#include "reason.h"
#include "stats.h"

/* The unit in which pages are kept; requests in multiples of it are the fast ones. */
#define VOLUME_PAGE_BYTES 4096u

struct volume;

/* OPTIONS must be complete; they are copied.  On failure *REASON says why. */
int volume_open(const struct options *options, struct volume **volume,
                struct reason *reason);
int volume_start(struct volume *volume, struct reason *reason);
void volume_close(struct volume *volume); /* NULL is fine */

/* Between open and start: uses BACKING, which is taken on success, instead of what the
 * options name. For a backing store that only the caller knows how to open. */
struct backing;
int volume_set_backing(struct volume *volume, struct backing *backing,
                       struct reason *reason);

uint64_t volume_size_bytes(const struct volume *volume);

/* Hexadecimal digits, the same for as long as the volume keeps its pages, and never those
 * of another one: a client that was away compares them, and knows whether what it wrote
 * is still there. */
const char *volume_identity(const struct volume *volume);

int volume_read(struct volume *volume, uint64_t offset, uint64_t bytes, void *out);
int volume_write(struct volume *volume, uint64_t offset, uint64_t bytes,
                 const void *data);

/* Forgets whole pages within the range, which then read as zeroes; the rest of it
 * stays. */
int volume_trim(struct volume *volume, uint64_t offset, uint64_t bytes);

/* The range reads as zeroes afterwards.  Whole pages take no memory then. */
int volume_zero(struct volume *volume, uint64_t offset, uint64_t bytes);

/* What a RAM disk can promise: everything acknowledged is in RAM already. */
int volume_flush(struct volume *volume);

/* Asks for reads to come to be fast: stored pages go back to RAM, as far as there is room
 * for them.  -EIO: one cannot be fetched. */
int volume_cache(struct volume *volume, uint64_t offset, uint64_t bytes);

/* Told of one extent: HOLE reads as zeroes and takes no memory.  0: go on; 1: enough;
 * or a negative errno. */
typedef int volume_extent_fn(void *opaque, uint64_t offset, uint64_t bytes, bool hole);

/* The extents of the range, in order and without gaps. */
int volume_extents(struct volume *volume, uint64_t offset, uint64_t bytes,
                   volume_extent_fn *fn, void *opaque);

/* Moves objects together; the RAM that came free, in bytes. */
uint64_t volume_compact(struct volume *volume);

/* Writes all pages in RAM to the backing store, and waits for it.  -EINVAL: there is
 * none.  -EIO, -ENOSPC, -EDQUOT: some stay in RAM, since it failed, is full, or the write
 * budget is spent. */
int volume_writeback(struct volume *volume);

/* All statistics; each is right for some moment of the call, not all for the same. */
void volume_stats(struct volume *volume, struct stats *stats);

/* The I-th kind of backing store, for as long as I counts up from 0; NULL after the
 * last. */
const char *volume_backing_name(unsigned i);

/* Whether the process's own code and data are locked in RAM too (memory-lock=true and
 * the right to lock that much). */
bool volume_process_is_locked(const struct volume *volume);

/* Walks all there is and compares; nobody else may be at work.  -EUCLEAN with a
 * sentence. */
int volume_check(struct volume *volume, struct reason *reason);

#endif
