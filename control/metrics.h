/* metrics.h - a report as text for Prometheus, for GET /metrics
 *
 * Owns:    nothing.
 * Called:  in the thread of the volume's loop.
 * Locks:   none.
 * Never:   knows a statistic by name: stats.def does.
 *
 * The format is version 0.0.4 of
 * https://prometheus.io/docs/instrumenting/exposition_formats/.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_METRICS_H
#define ZSLOT_METRICS_H

#include <stddef.h>

#include "face.h"
#include "report.h"

/* By malloc(); NULL: no memory.  FACE may be NULL, and else is asked with OPAQUE. */
char *metrics_text(const struct report *report, face_numbers_fn *face, void *opaque,
                   size_t *bytes);

/* What Prometheus calls a statistic: its unit comes last, and of a counter "total". */
#define METRICS_NAME_MAX 64
void metrics_name(enum stat_id stat, char name[METRICS_NAME_MAX]);

#endif
