/* writeback-state.h - what the files of writeback share
 *
 * Owns:    struct writeback.
 * Called:  included by writeback.c, writeback-all.c, evict.c and room.c; by report.c, which looks; and by tests.
 * Locks:   as the fields say.
 * Never:   changed by anybody else.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_WRITEBACK_STATE_H
#define ZSLOT_WRITEBACK_STATE_H

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>

#include "budget.h"
#include "clean.h"
#include "discard.h"
#include "fetch.h"
#include "idle.h"
#include "notice.h"
#include "select.h"
#include "writeback-all.h"
#include "writeback.h"

struct writeback {
    struct parts *parts;
    struct backing *backing;
    struct space space;
    struct segment_set segments;
    struct fetch_table fetches;
    struct select select;
    struct idle idle;
    struct budget budget;
    struct cleaner cleaner;
    struct notice notice;
    struct discards discards;

    struct event *tick, *wake, *retry;
    int wake_fd;
    bool running; /* from its start until its close */
    _Atomic bool poked, stopping;

    /* The thread's own. */
    bool begun;       /* the backing store may be written to */
    bool is_known;    /* the state has this store's identity, whose header is on it */
    uint64_t held_ms; /* until when blocks are HELD (space.h) */
    bool ready;       /* the header is written, and the state knows whose it is */
    bool header_busy; /* it is being written */
    bool evicting;
    struct segment *filling, *cleaning;
    uint64_t filling_since_ms;
    struct writeback_all all;
    uint64_t stop_ms; /* when stopping began */
    bool abandoned;   /* I/O never ended: what it may still write to must stay */
    struct writeback *next_abandoned;
    bool stopped;             /* nothing will be begun any more; guarded by room_lock */
    uint64_t in_flight_bytes; /* objects on their way out */
    struct backing_io header_io;
    unsigned failures;
    struct notice_failures failed_writes;
    uint64_t retry_at_ms;  /* after a failure */
    uint64_t reuse_at_ms;  /* the same, when EMPTY blocks are preferred again */
    uint64_t budget_at_ms; /* after the budget was spent */
    uint64_t turn_asked;   /* room_asked when this turn of the loop began */

    struct lock room_lock;
    pthread_cond_t room;
    uint64_t room_made;    /* times that writers were told; guarded by room_lock */
    uint64_t room_landed;  /* segments; guarded by room_lock */
    uint64_t room_asked;   /* writers' waits, counted; guarded by room_lock */
    unsigned waiters;      /* guarded by room_lock */
    _Atomic bool starving; /* one has waited, and was not told of anything */
    _Atomic uint64_t
        useless_bytes;  /* headroom that is of no use; the thread's to change */
    uint64_t forgot_ms; /* the last time, a part of it */
    _Atomic bool failed, full, over_budget;
    _Atomic uint64_t full_asked; /* turn_asked when it was found full */
};

#endif
