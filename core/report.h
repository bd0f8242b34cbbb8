/* report.h - what a volume says of itself
 *
 * Owns:    nothing.
 * Called:  report_make() in the thread of the volume's loop.
 * Locks:   none.
 * Never:   walks the slot table: whatever the size of the volume it takes microseconds.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_REPORT_H
#define ZSLOT_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "codec.h"
#include "latency.h"
#include "stats.h"

/* state of the backing store, its name, what to do about it */
#define BACKING_STATES(S)                                                              \
    S(NONE, "none", "there is no backing store")                                       \
    S(OK, "ok", "all is well")                                                         \
    S(FULL, "full", "no free block: pages stay in RAM; use a larger one")              \
    S(OVER_BUDGET, "over-budget",                                                      \
      "the budget of writeback-limit is used up: pages stay in RAM until it refills")  \
    S(AWAY, "away",                                                                    \
      "the NBD server does not answer: reads of stored pages wait; pages in RAM stay " \
      "there")                                                                         \
    S(FAILED, "failed", "writes fail again and again: see what is wrong with it")

enum backing_state {
#define S(name, word, says) BACKING_##name,
    BACKING_STATES(S)
#undef S
        BACKING_STATE_COUNT
};

#define REPORT_AGES 32u

struct report {
    struct stats stats;
    struct codec_choice compressor;
    uint32_t idle_age_s;      /* 0: none; OPTIONS_IDLE_AUTO */
    uint64_t writeback_limit; /* bytes a day; UINT64_MAX: none */

    enum backing_state backing;
    const char *backing_kind; /* NULL: none */
    uint64_t backing_bytes;

    /* Pages by age, in units of so many milliseconds, as the last round of the clock found
     * them; 0: pages do not age, since there is no idle-age.  The last one is so old or
     * older. */
    uint64_t age_unit_ms;
    uint64_t ages[REPORT_AGES];
    /* Stored pages that went back to RAM, by the age at which they were wanted. */
    uint64_t promoted[REPORT_AGES];

    struct latency_sum latencies[LATENCY_SOURCE_COUNT];

    bool memory_lock, process_locked, io_flusher;
    int oom_score_adj;
};

struct parts;

/* By any thread; WRITEBACK may be NULL. */
struct writeback;
enum backing_state report_backing_state(const struct writeback *writeback);

/* All of it but what only volume-care.c knows. */
void report_make(struct parts *parts, struct report *report);

const char *backing_state_word(enum backing_state state);

#endif
