/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *kind, *unit, *help;
} declared[STAT_COUNT] = {
#define STAT(name, kind, unit, source, help) {#name, #kind, #unit, help},
#include "stats.def"
#undef STAT
};

static bool is_counter(enum stat_id stat)
{
    return strcmp(declared[stat].kind, "COUNTER") == 0;
}

/* zram's names end in words that mean something else to Prometheus. */
static bool take_off(char *name, const char *end)
{
    size_t length = strlen(name), end_length = strlen(end);

    if (length <= end_length || strcmp(name + length - end_length, end) != 0)
        return false;
    name[length - end_length] = '\0';
    return true;
}

void metrics_name(enum stat_id stat, char name[METRICS_NAME_MAX])
{
    char base[METRICS_NAME_MAX / 2];
    const char *unit = "";

    snprintf(base, sizeof base, "%s", declared[stat].name);
    take_off(base, "_total");
    take_off(base, "_size");
    bool counts = take_off(base, "_count");
    if (strcmp(declared[stat].unit, "BYTES") == 0)
        unit = "_bytes";
    else if (counts)
        unit = "_pages";
    snprintf(name, METRICS_NAME_MAX, "zslot_%s%s%s", base, unit,
             is_counter(stat) ? "_total" : "");
}

static void head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, "gauge", help);
    fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void put_ages(FILE *out, const struct report *report, const char *name,
                     const char *type, const char *help, const uint64_t *pages)
{
    if (report->age_unit_ms == 0)
        return;
    head(out, name, type, help);
    for (unsigned i = 0; i < REPORT_AGES; i++)
        fprintf(out, "%s{age_seconds=\"%g\"} %" PRIu64 "\n", name,
                (double)i * (double)report->age_unit_ms / 1000, pages[i]);
}

/* Buckets by whole powers of two. */
static void put_latencies(FILE *out, const struct report *report)
{
    static const char name[] = "zslot_read_latency_seconds";

    head(out, name, "histogram",
         "reads of a page by where it was; of those in RAM (same, ram) one of 61 is "
         "timed "
         "and counted");
    for (unsigned i = 0; i < LATENCY_SOURCE_COUNT; i++) {
        const struct latency_sum *sum = &report->latencies[i];
        const char *source = latency_word((enum latency_source)i);
        uint64_t below = sum->counts[0];

        for (unsigned bucket = 1; bucket < LATENCY_BUCKETS - 1; bucket++) {
            below += sum->counts[bucket];
            if (bucket % 4 == 0)
                fprintf(out, "%s_bucket{source=\"%s\",le=\"%.9g\"} %" PRIu64 "\n", name,
                        source, (double)latency_bucket_end_ns(bucket) / 1e9, below);
        }
        fprintf(out, "%s_bucket{source=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, source,
                sum->count);
        fprintf(out, "%s_sum{source=\"%s\"} %.9g\n", name, source,
                (double)sum->sum_ns / 1e9);
        fprintf(out, "%s_count{source=\"%s\"} %" PRIu64 "\n", name, source, sum->count);
    }
}

static void put_face(FILE *out, face_numbers_fn *face, void *opaque)
{
    struct face_number numbers[FACE_NUMBERS_MAX];
    unsigned count = face(opaque, numbers);

    for (unsigned i = 0; i < count; i++) {
        char name[METRICS_NAME_MAX];

        snprintf(name, sizeof name, "zslot_server_%s%s", numbers[i].name,
                 numbers[i].is_ns ? "_seconds_total" : "");
        head(out, name, numbers[i].is_ns ? "counter" : "gauge", numbers[i].says);
        fprintf(out, "%s %.9g\n", name,
                (double)numbers[i].value / (numbers[i].is_ns ? 1e9 : 1));
    }
}

char *metrics_text(const struct report *report, face_numbers_fn *face, void *opaque,
                   size_t *bytes)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, bytes);

    if (!out)
        return NULL;
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        enum stat_id stat = (enum stat_id)i;
        char name[METRICS_NAME_MAX];

        metrics_name(stat, name);
        head(out, name, is_counter(stat) ? "counter" : "gauge", declared[i].help);
        fprintf(out, "%s %" PRIu64 "\n", name, report->stats.values[i]);
    }
    head(out, "zslot_backing_state", "gauge", "1 for the state of the backing store");
    for (unsigned i = 0; i < BACKING_STATE_COUNT; i++)
        fprintf(out, "zslot_backing_state{state=\"%s\"} %d\n",
                backing_state_word((enum backing_state)i), report->backing == i);
    put_gauge(out, "zslot_backing_bytes", "what the backing store holds at most",
              report->backing_bytes);
    put_gauge(out, "zslot_memory_locked",
              "whether the volume's memory is locked in RAM", report->memory_lock);
    put_gauge(out, "zslot_process_locked", "whether the process is locked in RAM",
              report->process_locked);
    put_gauge(out, "zslot_io_flusher",
              "whether the kernel knows that the threads serve I/O",
              report->io_flusher);
    head(out, "zslot_oom_score_adj", "gauge",
         "how readily the kernel ends the process when memory runs out, from -1000, "
         "never");
    fprintf(out, "zslot_oom_score_adj %d\n", report->oom_score_adj);
    put_ages(
        out, report, "zslot_pages_by_age", "gauge",
        "pages not accessed for so long, as the last round of the clock found them",
        report->ages);
    put_ages(out, report, "zslot_promotions_by_age_total", "counter",
             "stored pages that went back to RAM, by the age at which they were wanted",
             report->promoted);
    put_latencies(out, report);
    if (face)
        put_face(out, face, opaque);
    bool failed = ferror(out);
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
