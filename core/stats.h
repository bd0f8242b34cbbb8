/* stats.h - what the volume counts, by name
 *
 * Owns:    the list of statistics.
 * Called:  by any thread.
 * Locks:   none.
 * Never:   counts; contexts do, each for itself (context.h), so that threads share no
 *          counter.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_STATS_H
#define ZSLOT_STATS_H

#include <stdint.h>

enum stat_id {
#define STAT(name, kind, unit, source, help) STAT_##name,
#include "stats.def"
#undef STAT
    STAT_COUNT
};

struct stats {
    uint64_t values[STAT_COUNT];
};

const char *stat_name(enum stat_id stat);

#endif
