/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "series.h"

#include <stdlib.h>

void series_add(struct series *series, double value)
{
    if (series->count < SERIES_MAX)
        series->values[series->count++] = value;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double series_quantile(struct series *series, double share)
{
    if (series->count == 0)
        return 0;
    qsort(series->values, series->count, sizeof series->values[0], compare);

    double at = share * (double)(series->count - 1);
    size_t below = (size_t)at;
    if (below + 1 == series->count)
        return series->values[below];
    return series->values[below] +
           (at - (double)below) * (series->values[below + 1] - series->values[below]);
}
