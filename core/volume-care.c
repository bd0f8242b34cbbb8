/* volume-care.c - what is asked of a volume beside its clients: work, figures, a check
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>

#include "check.h"
#include "compact.h"
#include "process.h"
#include "volume-state.h"
#include "writeback.h"

int volume_writeback(struct volume *volume)
{
    const struct filter all = {.type = FILTER_ALL, .max_bytes = UINT64_MAX};

    return volume_writeback_some(volume, &all, NULL);
}

int volume_writeback_some(struct volume *volume, const struct filter *filter,
                          struct work *work)
{
    if (!volume->parts.writeback)
        return -EINVAL;
    return writeback_all(volume->parts.writeback, filter, work);
}

int volume_retry(struct volume *volume)
{
    if (!volume->parts.writeback)
        return -EINVAL;
    writeback_retry(volume->parts.writeback);
    return 0;
}

uint64_t volume_compact(struct volume *volume, struct work *work)
{
    return compact_all(&volume->parts, work);
}

int volume_recompress(struct volume *volume, struct codec_choice choice,
                      const struct filter *filter, struct work *work)
{
    return recompress_run(&volume->parts, choice, filter, work);
}

int volume_mark_idle(struct volume *volume, uint32_t age_s, struct work *work)
{
    return steer_mark_idle(&volume->parts, age_s, work);
}

int volume_set(struct volume *volume, const struct steer_pair *pairs, unsigned count,
               struct reason *reason)
{
    return steer_set(&volume->parts, &volume->options, pairs, count, reason);
}

static void letters_of(unsigned marks, char letters[4])
{
    unsigned n = 0;

#define M(name, bit, letter, says)                                                     \
    if (marks & (bit))                                                                 \
        letters[n++] = letter;
    SLOT_MARKS(M)
#undef M
    letters[n] = '\0';
}

uint64_t volume_look(struct volume *volume, uint64_t from, uint64_t count,
                     struct volume_slot *slots)
{
    struct slot_table *table = &volume->parts.slots;
    uint64_t n = 0;

    for (; n < count && from < table->slots && n < table->slots - from; n++) {
        struct slot_age age;

        slot_look(table, from + n, &age);
        slots[n] = (struct volume_slot){
            .state = slot_state_letter((enum slot_state)age.state),
            .age_units = age.units,
            .length = age.length,
            .codec = age.codec == CODEC_NONE || age.codec >= CODEC_COUNT
                         ? NULL
                         : codecs[age.codec]->name,
        };
        letters_of(age.marks, slots[n].marks);
    }
    return n;
}

/* The statistics that no context counts. */
static uint64_t ask(struct volume *volume, enum stat_id stat)
{
    struct parts *parts = &volume->parts;
    struct writeback_stats writeback = {0};

    if (parts->writeback)
        writeback_ask(parts->writeback, &writeback);
    switch (stat) {
    case STAT_disk_size:
        return volume->options.size;
    case STAT_mem_used_total:
        return memory_used_bytes(&parts->memory);
    case STAT_mem_limit:
        return parts->memory.limit_bytes == UINT64_MAX ? 0 : parts->memory.limit_bytes;
    case STAT_mem_used_max:
        return parts->memory.peak_bytes;
    case STAT_pool_free_size:
        return pool_free_bytes(&parts->pool);
    case STAT_bd_writes:
        return writeback.evicted_pages;
    case STAT_bd_evicted_size:
        return writeback.evicted_bytes;
    case STAT_bd_written_size:
        return writeback.written_bytes;
    case STAT_bd_used_size:
        return writeback.used_bytes;
    case STAT_bd_live_size:
        return writeback.live_bytes;
    case STAT_bd_free_size:
        return writeback.free_bytes;
    case STAT_segments_in_use:
        return writeback.segments_in_use;
    case STAT_segments_free:
        return writeback.segments_free;
    case STAT_blocks_cleaned:
        return writeback.blocks_cleaned;
    case STAT_failed_writebacks:
        return writeback.failed_segments;
    case STAT_corrupt_objects:
        return writeback.corrupt_objects;
    default:
        return 0;
    }
}

void volume_stats(struct volume *volume, struct stats *stats)
{
#define CONTEXT(stat) (uint64_t) context_set_sum(&volume->parts.contexts, stat)
#define VOLUME(stat) ask(volume, stat)
#define STAT(name, kind, unit, source, help)                                           \
    stats->values[STAT_##name] = source(STAT_##name);
#include "stats.def"
#undef STAT
#undef CONTEXT
#undef VOLUME
}

struct call {
    volume_loop_fn *fn;
    void *opaque;
    struct event_base *base;
};

static void call(void *opaque)
{
    struct call *in_loop = opaque;

    in_loop->fn(in_loop->opaque, in_loop->base);
}

int volume_call(struct volume *volume, volume_loop_fn *fn, void *opaque)
{
    struct loop *loop = &volume->parts.loop;
    struct call in_loop = {.fn = fn, .opaque = opaque, .base = loop->base};

    return loop_call(loop, call, &in_loop);
}

void volume_report(struct volume *volume, struct report *report)
{
    *report = (struct report){
        .idle_age_s = volume->options.idle_age,
        .writeback_limit = volume->options.writeback_limit,
        .memory_lock = volume->options.memory_lock,
        .process_locked = volume->process_locked,
        .io_flusher = volume->process_flusher,
        .oom_score_adj = process_oom_score_adj(),
    };
    volume_stats(volume, &report->stats);
    report_make(&volume->parts, report);
}

void volume_time_reads(struct volume *volume, bool timed)
{
    context_set_time_reads(&volume->parts.contexts, timed);
}

int volume_check(struct volume *volume, struct reason *reason)
{
    return check_parts(&volume->parts, reason);
}
