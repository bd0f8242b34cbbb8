/* series.h - a clock, and what many short measurements say together
 *
 * Owns:    the numbers of a series.
 * Called:  a series by one thread at a time.
 * Locks:   none.
 * Never:   averages: on a machine shared with others the mean says who else was there.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BENCH_SERIES_H
#define ZSLOT_BENCH_SERIES_H

#include <stddef.h>
#include <time.h>

#define SERIES_MAX 8192

struct series {
    size_t count;
    double values[SERIES_MAX];
};

/* Past SERIES_MAX, values are dropped. */
void series_add(struct series *series, double value);

/* The value that SHARE (0 to 1) of the series is not above; 0 of an empty one.  Sorts. */
double series_quantile(struct series *series, double share);

static inline double series_median(struct series *series)
{
    return series_quantile(series, 0.5);
}

/* Of the monotonic clock, in microseconds. */
static inline double series_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

#endif
