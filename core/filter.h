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

#endif
