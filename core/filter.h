/* filter.h - which pages people ask to have written back or compressed anew
 *
 * Owns:    nothing.
 * Called:  by who asks and who does.
 * Locks:   none.
 * Never:   says when.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_FILTER_H
#define ZSLOT_FILTER_H

#include <stdbool.h>
#include <stdint.h>

/* name, word, which pages in RAM */
#define FILTER_TYPES(T)                                                                \
    T(ALL, "all", "all")                                                               \
    T(IDLE, "idle", "those that are marked idle")                                      \
    T(HUGE, "huge", "incompressible ones")                                             \
    T(HUGE_IDLE, "huge_idle", "those that are both")

enum filter_type {
#define T(name, word, which) FILTER_##name,
    FILTER_TYPES(T)
#undef T
        FILTER_TYPE_COUNT
};

struct filter {
    enum filter_type type;
    uint64_t max_bytes; /* of objects, and no more once it has come to that */
};

static inline bool filter_lets(const struct filter *filter, bool idle, bool huge)
{
    bool only_idle = filter->type == FILTER_IDLE || filter->type == FILTER_HUGE_IDLE;
    bool only_huge = filter->type == FILTER_HUGE || filter->type == FILTER_HUGE_IDLE;

    return (idle || !only_idle) && (huge || !only_huge);
}

#endif
