/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "report.h"

#include "writeback-state.h"

_Static_assert(REPORT_AGES == CONTEXT_UNITS, "a slot's age has so many units");

enum backing_state report_backing_state(const struct writeback *writeback)
{
    if (!writeback)
        return BACKING_NONE;
    if (writeback->backing->away)
        return BACKING_AWAY;
    if (writeback->failed)
        return BACKING_FAILED;
    if (writeback->full)
        return BACKING_FULL;
    return writeback->over_budget ? BACKING_OVER_BUDGET : BACKING_OK;
}

void report_make(struct parts *parts, struct report *report)
{
    const struct writeback *writeback = parts->writeback;

    report->compressor = parts->contexts.choice;
    for (unsigned i = 0; i < REPORT_AGES; i++)
        report->promoted[i] = context_set_promoted(&parts->contexts, i);
    for (unsigned i = 0; i < LATENCY_SOURCE_COUNT; i++)
        context_set_latency(&parts->contexts, (enum latency_source)i,
                            &report->latencies[i]);
    if (!writeback)
        return;
    report->backing = report_backing_state(writeback);
    report->backing_kind = writeback->backing->ops->name;
    report->backing_bytes = writeback->backing->bytes;
    report->age_unit_ms = writeback->idle.unit_ms;
    for (unsigned i = 0; i < REPORT_AGES; i++) {
        report->ages[i] = writeback->idle.last_pages[i];
        report->promoted[i] -= writeback->idle.promoted[i];
    }
}

const char *backing_state_word(enum backing_state state)
{
    static const char *const words[BACKING_STATE_COUNT] = {
#define S(name, word, says) word,
        BACKING_STATES(S)
#undef S
    };
    return words[state];
}
