/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "stats-json.h"

#include "options.h"
#include "volume.h"

void stats_compressor(const struct codec_choice *choice, char *text, size_t bytes)
{
    const struct codec *codec = codecs[choice->id];

    if (codec->level_min == codec->level_max)
        snprintf(text, bytes, "%s", codec->name);
    else
        snprintf(text, bytes, "%s:%d", codec->name, choice->level);
}

static json_t *slots_json(const struct stats *stats)
{
    const uint64_t *values = stats->values;
    uint64_t all = values[STAT_disk_size] / VOLUME_PAGE_BYTES;
    uint64_t present = values[STAT_orig_data_size] / VOLUME_PAGE_BYTES;

    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "empty",
                     (json_int_t)(all > present ? all - present : 0), "same",
                     (json_int_t)values[STAT_same_pages], "compressed",
                     (json_int_t)values[STAT_compressed_pages], "huge",
                     (json_int_t)values[STAT_huge_pages], "stored",
                     (json_int_t)values[STAT_bd_count]);
}

static json_t *ages_json(const struct report *report, const uint64_t *pages)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < REPORT_AGES; i++)
        json_array_append_new(list, json_integer((json_int_t)pages[i]));
    json_t *unit = report->age_unit_ms ? json_real((double)report->age_unit_ms / 1000)
                                       : json_null();
    return json_pack("{s:o, s:o}", "unit_seconds", unit, "pages", list);
}

/* In seconds, as all times. */
static json_t *quantile_json(const struct latency_sum *sum, unsigned per_mille)
{
    return sum->count == 0
               ? json_null()
               : json_real((double)latency_quantile_ns(sum, per_mille) / 1e9);
}

static json_t *latencies_json(const struct report *report)
{
    json_t *json = json_object();

    for (unsigned i = 0; i < LATENCY_SOURCE_COUNT; i++) {
        const struct latency_sum *sum = &report->latencies[i];

        json_object_set_new(
            json, latency_word((enum latency_source)i),
            json_pack("{s:I, s:i, s:o, s:o, s:o, s:o}", "timed", (json_int_t)sum->count,
                      "one_of", (int)latency_sample((enum latency_source)i), "p50",
                      quantile_json(sum, 500), "p90", quantile_json(sum, 900), "p99",
                      quantile_json(sum, 990), "p999", quantile_json(sum, 999)));
    }
    return json;
}

static json_t *idle_age_json(const struct report *report)
{
    if (report->idle_age_s == 0)
        return json_null();
    if (report->idle_age_s == OPTIONS_IDLE_AUTO)
        return json_string("auto");
    return json_integer(report->idle_age_s);
}

json_t *stats_json(const struct report *report)
{
    char compressor[32];
    json_t *json = json_object();

    stats_compressor(&report->compressor, compressor, sizeof compressor);
    json_object_set_new(json, "version", json_string(PACKAGE_VERSION));
    json_object_set_new(json, "compressor", json_string(compressor));
    json_object_set_new(json, "idle_age", idle_age_json(report));
    json_object_set_new(json, "writeback_limit",
                        report->writeback_limit == UINT64_MAX
                            ? json_null()
                            : json_integer((json_int_t)report->writeback_limit));
    for (unsigned i = 0; i < STAT_COUNT; i++)
        json_object_set_new(json, stat_name((enum stat_id)i),
                            json_integer((json_int_t)report->stats.values[i]));
    json_object_set_new(json, "slots", slots_json(&report->stats));
    json_object_set_new(json, "backing",
                        json_pack("{s:s, s:s?, s:I}", "state",
                                  backing_state_word(report->backing), "kind",
                                  report->backing_kind, "size",
                                  (json_int_t)report->backing_bytes));
    json_object_set_new(json, "ages", ages_json(report, report->ages));
    json_object_set_new(json, "promoted", ages_json(report, report->promoted));
    json_object_set_new(json, "read_latency", latencies_json(report));
    json_object_set_new(json, "memory_lock", json_boolean(report->memory_lock));
    json_object_set_new(json, "process_locked", json_boolean(report->process_locked));
    json_object_set_new(json, "io_flusher", json_boolean(report->io_flusher));
    json_object_set_new(json, "oom_score_adj", json_integer(report->oom_score_adj));
    return json;
}

json_t *stats_face_json(face_numbers_fn *fn, void *opaque)
{
    struct face_number numbers[FACE_NUMBERS_MAX];
    unsigned count = fn(opaque, numbers);
    json_t *json = json_object();

    for (unsigned i = 0; i < count; i++)
        json_object_set_new(json, numbers[i].name,
                            numbers[i].is_ns
                                ? json_real((double)numbers[i].value / 1e9)
                                : json_integer((json_int_t)numbers[i].value));
    return json;
}
