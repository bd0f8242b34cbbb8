/* parts.h - the parts of a volume, as its own files see them
 *
 * Owns:    nothing; volume.c opens and closes them.
 * Called:  included by files of core, and by tests.
 * Locks:   LOCK_RANK_COMPACT.
 * Never:   included outside core/ and tests/.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_PARTS_H
#define ZSLOT_PARTS_H

#include "context.h"
#include "host.h"
#include "lock.h"
#include "loop.h"
#include "memory.h"
#include "pool.h"
#include "recompress.h"
#include "slot.h"

struct writeback;
struct state;

/* What a volume needs beyond its fixed parts to be of any use. */
#define ROOM_BYTES_MIN (UINT64_C(1) << 20)

struct parts {
    struct memory memory;
    struct slot_table slots;
    struct pool pool;
    struct context_set contexts;

    struct loop loop;            /* closed when nothing needs it */
    struct writeback *writeback; /* NULL without a backing store */
    struct state *state;         /* NULL: memory ends with the process */

    struct recompress recompress;
    struct volume_host host; /* set before the start */

    struct lock compact_lock;
    unsigned
        compact_cursor; /* the size class looked at last; guarded by compact_lock */
    /* Free places that the last compaction could do nothing about. */
    _Atomic uint64_t compact_floor_bytes;
};

#endif
