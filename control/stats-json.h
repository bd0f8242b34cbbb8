/* stats-json.h - a report as JSON, for GET /v1/stats
 *
 * Owns:    nothing.
 * Called:  in the thread of the volume's loop.
 * Locks:   none.
 * Never:   knows a statistic by name, but those that others are computed from.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_STATS_JSON_H
#define ZSLOT_STATS_JSON_H

#include <jansson.h>

#include "face.h"
#include "report.h"

/* NULL: no memory. */
json_t *stats_json(const struct report *report);

/* What FN says of a face. */
json_t *stats_face_json(face_numbers_fn *fn, void *opaque);

/* "zstd:1", "lz4" and so on. */
void stats_compressor(const struct codec_choice *choice, char *text, size_t bytes);

#endif
