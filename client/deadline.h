/* deadline.h - until when something may take
 *
 * Owns:    nothing.
 * Called:  by anybody.
 * Locks:   nothing.
 * Never:   looks at the time of day, which people set.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_DEADLINE_H
#define CLIENT_DEADLINE_H

#include <stdbool.h>
#include <time.h>

static inline time_t deadline_now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static inline time_t deadline_in(time_t seconds)
{
    return deadline_now_s() + seconds;
}

static inline bool deadline_is_over(time_t deadline_s)
{
    return deadline_now_s() >= deadline_s;
}

#endif
