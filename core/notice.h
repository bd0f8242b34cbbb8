/* notice.h - what is worth a line in the log about the backing store
 *
 * Owns:    what was said last, and when.
 * Called:  by the thread of the loop.
 * Locks:   none.
 * Never:   prints, or reads a clock: time is passed in.
 *
 * A store that goes back and forth between two states, or fails thousands of times, gets a line
 * now and then.  What is over before its time has come is not said at all.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_NOTICE_H
#define ZSLOT_NOTICE_H

#include <stdint.h>

#include "reason.h"
#include "report.h"

/* Between two lines about the state, and between two of one kind of failure. */
#define NOTICE_STATE_MS 10000
#define NOTICE_FAILURES_MS 60000

/* Failures, counted, and the errno of the last one. */
struct notice_failures {
    uint64_t count;
    int err;
};

/* How things are. */
struct notice_view {
    enum backing_state state;
    struct notice_failures writes, reads, checksums;
};

struct notice_said {
    uint64_t count, at_ms; /* 0: never */
};

/* All zeroes at first, but for the state. */
struct notice {
    enum backing_state state; /* that was said last */
    uint64_t state_ms;        /* 0: never */
    struct notice_said writes, reads, checksums;
};

/* Whether there is something to say, one thing at a time, and that in SENTENCE.  NOW_MS is never
 * 0. */
bool notice_look(struct notice *notice, const struct notice_view *view, uint64_t now_ms,
                 struct reason *sentence);

#endif
