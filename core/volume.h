/* volume.h - one volume: the header of core that the faces include
 *
 * Owns:    all below it, from open to close.
 * Called:  open, start and close by one thread; the rest by any number of threads
 *          between volume_prepare() and volume_close().
 * Locks:   none of its own.
 * Never:   knows NBD, prints, or exits.
 *
 * Life. volume_open() finds out all that can fail before a fork; volume_prepare() makes
 * the memory usable after it, and locks it in RAM when asked to.  Up to here nothing is lost
 * that was there before: volume_close() leaves all as it was, and takes away the state and the
 * file that were made.  volume_begin() cannot fail, and is for when nothing else can: from then on the
 * backing store is written to.  volume_close() frees everything, begun or not.
 * A volume that is never closed leaves nothing behind: its
 * memory has no name.  But with a state it has: whether closed or killed at any moment, its
 * pages are there for the next volume_open() with that directory (state.h).
 *
 * Ranges are in bytes and may begin and end anywhere within the size.  A request is
 * served page by page: requests that overlap in time may be seen interleaved, at the
 * granularity of a page. Errors are negative errno values:
 *   -EINVAL  the range is not within the volume
 *   -ENOSPC  past memory-limit; the pages before the one in question are written, it and
 *            those after it are as they were
 *   -ENOMEM  the system has no memory, or none that it will lock; the same
 *   -EIO     a page cannot be read
 *   -ESHUTDOWN  it would have to wait longer, and the host ends (host.h); as far as it has
 *            come it may be done
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_VOLUME_H
#define ZSLOT_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "filter.h"
#include "host.h"
#include "options.h"
#include "reason.h"
#include "report.h"
#include "stats.h"
#include "steer.h"

/* The unit in which pages are kept; requests in multiples of it are the fast ones. */
#define VOLUME_PAGE_BYTES 4096u

struct volume;

/* OPTIONS must be complete; they are copied.  On failure *REASON says why. */
int volume_open(const struct options *options, struct volume **volume,
                struct reason *reason);
int volume_prepare(struct volume *volume, struct reason *reason);
void volume_begin(struct volume *volume);
void volume_close(struct volume *volume); /* NULL is fine */

/* Both, for who has nothing that can fail in between. */
static inline int volume_start(struct volume *volume, struct reason *reason)
{
    int r = volume_prepare(volume, reason);

    if (r == 0)
        volume_begin(volume);
    return r;
}

/* Between open and prepare: uses BACKING, which is taken on success, instead of what the
 * options name. For a backing store that only the caller knows how to open. */
struct backing;
int volume_set_backing(struct volume *volume, struct backing *backing,
                       struct reason *reason);

/* Between open and prepare. */
void volume_set_host(struct volume *volume, const struct volume_host *host);

uint64_t volume_size_bytes(const struct volume *volume);

/* Hexadecimal digits, the same for as long as the volume keeps its pages, and never those
 * of another one: a client that was away compares them, and knows whether what it wrote
 * is still there. */
const char *volume_identity(const struct volume *volume);

int volume_read(struct volume *volume, uint64_t offset, uint64_t bytes, void *out);
int volume_write(struct volume *volume, uint64_t offset, uint64_t bytes,
                 const void *data);

/* The same for a thread that must not wait for the backing store or for room.  -EAGAIN: it would
 * have to; of a write the first *DONE bytes are written, of a read any may be at OUT. */
int volume_try_read(struct volume *volume, uint64_t offset, uint64_t bytes, void *out);
int volume_try_write(struct volume *volume, uint64_t offset, uint64_t bytes,
                     const void *data, uint64_t *done);

/* A write that waits, for as long as it is wanted: IS_WANTED is asked before each page is
 * changed, and again after each wait.  -ECANCELED: it was not wanted any more; pages before that are
 * written.  For a client that may have gone away and written the same pages anew. */
typedef bool volume_wanted_fn(void *opaque);
int volume_write_while(struct volume *volume, uint64_t offset, uint64_t bytes,
                       const void *data, volume_wanted_fn *is_wanted, void *opaque);

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

/* Moves objects together; the RAM that came free, in bytes.  WORK, which may be NULL, counts what has
 * been done, and can end it early. */
struct work;
uint64_t volume_compact(struct volume *volume, struct work *work);

/* Writes all pages in RAM to the backing store, and waits for it.  -EINVAL: there is
 * none.  -EIO, -ENOSPC, -EDQUOT: some stay in RAM, since it failed, is full, or the write
 * budget is spent. */
int volume_writeback(struct volume *volume);

/* All statistics; each is right for some moment of the call, not all for the same. */
void volume_stats(struct volume *volume, struct stats *stats);

/* The I-th kind of backing store, for as long as I counts up from 0; NULL after the
 * last. */
const char *volume_backing_name(unsigned i);

/* Why a write is -ENOSPC, at this moment: words to follow "no room: ". */
const char *volume_why_no_room(const struct volume *volume);

/* Whether there is something that whoever starts the volume should know, and yet no mistake: a state that is
 * not on a tmpfs.  Fills in the sentence. */
bool volume_warns(const struct volume *volume, struct reason *reason);

/* Pages that were in the state already. */
uint64_t volume_found_pages(const struct volume *volume);

/* -- For the control endpoint, in a volume with control= or metrics-port=. -- */

/* Runs FN in the thread of the volume's event loop, between prepare and close, and waits for
 * its end.  -ENOMEM: it did not run. */
struct event_base;
typedef void volume_loop_fn(void *opaque, struct event_base *base);
int volume_call(struct volume *volume, volume_loop_fn *fn, void *opaque);

/* By any thread; WORK counts what they have done, and can end them early.  With
 * volume_compact() and volume_writeback() these are long work. */
int volume_mark_idle(struct volume *volume, uint32_t age_s, struct work *work);
int volume_writeback_some(struct volume *volume, const struct filter *filter,
                          struct work *work);
int volume_recompress(struct volume *volume, struct codec_choice choice,
                      const struct filter *filter, struct work *work);

/* In the thread of the loop.  See steer.h. */
int volume_set(struct volume *volume, const struct steer_pair *pairs, unsigned count,
               struct reason *reason);

/* In the thread of the loop.  Has the backing store tried at once, if it failed or is away, instead of after
 * a pause.  -EINVAL: there is none. */
int volume_retry(struct volume *volume);

/* A slot, for people: its letters as in slot.h, and how many units of time old it is
 * (report.h). */
struct volume_slot {
    char state, marks[4]; /* ended by 0 */
    uint8_t age_units;
    uint16_t length;   /* of the object, 0 without one */
    const char *codec; /* NULL: not compressed */
};

/* COUNT slots from FROM on, fewer at the end; how many.  By any thread. */
uint64_t volume_look(struct volume *volume, uint64_t from, uint64_t count,
                     struct volume_slot *slots);

/* In the thread of the loop. */
void volume_report(struct volume *volume, struct report *report);

/* Whether the process's own code and data are locked in RAM too (memory-lock=true and
 * the right to lock that much). */
bool volume_process_is_locked(const struct volume *volume);

/* Whether the kernel was told that the calling thread of volume_prepare(), and what it makes,
 * serves I/O (PR_SET_IO_FLUSHER). */
bool volume_process_is_flusher(const struct volume *volume);

/* For a benchmark: whether the latencies of reads are counted, as they are at first.  Nobody
 * else may be at work. */
void volume_time_reads(struct volume *volume, bool timed);

/* Walks all there is and compares; nobody else may be at work.  -EUCLEAN with a
 * sentence. */
int volume_check(struct volume *volume, struct reason *reason);

#endif
