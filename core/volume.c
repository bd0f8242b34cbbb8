/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "volume.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "ahead.h"
#include "check.h"
#include "compact.h"
#include "extents.h"
#include "parts.h"
#include "process.h"
#include "read.h"
#include "restore.h"
#include "state.h"
#include "trim.h"
#include "write.h"
#include "writeback.h"

_Static_assert(VOLUME_PAGE_BYTES == PAGE_BYTES, "volume.h repeats it for the faces");

/* What a volume needs beyond its fixed parts to be of any use. */
#define ROOM_BYTES_MIN (UINT64_C(1) << 20)

/* How long a start waits for I/O of a process that was killed to leave the backing store. */
#define BUSY_MS 20000

struct volume {
    struct options options;
    struct parts parts;
    struct state state;
    struct restore found; /* in a state that was kept */
    bool process_locked, process_flusher;
    char identity[2 * STATE_IDENTITY_BYTES + 1];
};

/* -- Opening, before a fork. -- */

static uint64_t least_bytes(const struct options *options)
{
    return slot_table_fixed_bytes(options->size / PAGE_BYTES) +
           context_set_bytes(context_count_default(), options->compressor) +
           ROOM_BYTES_MIN;
}

static int check_limit(const struct options *options, uint64_t least,
                       struct reason *reason)
{
    if (options->memory_limit >= least)
        return 0;
    return reason_say(
        reason, -EINVAL,
        "memory-limit=%s: tables and codecs for this size and compressor "
        "take %" PRIu64 " bytes, and pages need some more; write at least "
        "memory-limit=%" PRIu64 "k",
        options->memory_limit_text, least - ROOM_BYTES_MIN, (least + 1023) / 1024);
}

/* What was found must fit beside the rest.  It does when nothing but the process has
 * changed. */
static int check_found(const struct volume *volume, uint64_t fixed_bytes,
                       struct reason *reason)
{
    const struct options *options = &volume->options;
    uint64_t bytes = fixed_bytes - ROOM_BYTES_MIN + volume->found.bytes;

    if (bytes <= options->memory_limit)
        return 0;
    return reason_say(reason, -ENOSPC,
                      "memory-limit=%s: the pages of state=%s take %" PRIu64
                      " bytes, and tables and codecs %" PRIu64
                      "; write at least memory-limit=%" PRIu64 "k",
                      options->memory_limit_text, options->state, volume->found.bytes,
                      bytes - volume->found.bytes, (bytes + 1023) / 1024);
}

/* With a bound on locked memory writes would begin to fail one day: it counts granules
 * (region.h) and all else that the process has locked, so no bound is known to
 * suffice. */
static int check_lock_limit(const struct options *options, struct reason *reason)
{
    if (!options->memory_lock || process_may_lock())
        return 0;
    return reason_say(
        reason, -EPERM,
        "memory-lock=true: this process may lock only so much memory; lift the "
        "limit (ulimit -l unlimited, LimitMEMLOCK=infinity in a unit) or give it "
        "CAP_IPC_LOCK");
}

static int open_parts(struct volume *volume)
{
    const struct options *options = &volume->options;
    struct parts *parts = &volume->parts;
    struct memory *memory = &parts->memory;
    slot_t slots = options->size / PAGE_BYTES;

    lock_init(&parts->compact_lock, LOCK_RANK_COMPACT);
    int r = slot_table_open(&parts->slots, slots, memory, options->memory_lock);
    if (r == 0)
        r = pool_open(&parts->pool, slots, memory, options->memory_lock);
    return r;
}

/* When it is known what objects there are to read. */
static int open_contexts(struct volume *volume)
{
    const struct options *options = &volume->options;

    return context_set_open(&volume->parts.contexts, context_count_default(),
                            options->compressor, &volume->parts.memory,
                            options->memory_lock);
}

/* A state whose pages are on a backing store needs that one, and all of it that they are
 * on. */
static int check_is_ours(const struct volume *volume, const struct backing *backing,
                         struct reason *reason)
{
    const struct options *options = &volume->options;
    const char *where = options->backing ? options->backing : "";

    if (volume->found.stored == 0)
        return 0;
    if (!backing->has_identity ||
        !state_knows_backing(&volume->state, backing->identity))
        return reason_say(reason, -EINVAL,
                          "backing=%s: not the one that %" PRIu64
                          " pages of state=%s are on; name that one, or another "
                          "directory for the state",
                          where, volume->found.stored, options->state);
    uint64_t bytes = ((uint64_t)volume->found.last_block + 1) * BLOCK_BYTES;
    if (bytes > backing->bytes)
        return reason_say(reason, -EINVAL,
                          "backing-size=%" PRIu64 ": %s has pages of state=%s up to "
                          "%" PRIu64 "; write at least backing-size=%" PRIu64,
                          backing->bytes, where, options->state, bytes, bytes);
    return 0;
}

int volume_set_backing(struct volume *volume, struct backing *backing,
                       struct reason *reason)
{
    const struct options *options = &volume->options;
    uint64_t least = least_bytes(options) + writeback_bytes(backing->bytes) +
                     (options->state ? writeback_state_bytes(backing) : 0);
    int r = check_limit(options, least, reason);
    if (r == 0)
        r = check_found(volume, least, reason);
    if (r == 0)
        r = check_is_ours(volume, backing, reason);
    if (r < 0)
        return r;
    backing->timeout_ms = options->backing_timeout * 1000;
    const struct writeback_policy policy = {
        .idle_age_s = options->idle_age,
        .bytes_per_day = options->writeback_limit,
    };
    r = writeback_open(&volume->parts, backing, &policy, options->memory_lock,
                       &volume->parts.writeback);
    return r < 0 ? reason_say(reason, r, "cannot set up writeback: %s", strerror(-r))
                 : 0;
}

static int open_backing(struct volume *volume, struct reason *reason)
{
    const struct options *options = &volume->options;
    struct backing *backing;

    if (!options->backing && volume->found.stored > 0 && !options->backing_follows)
        return reason_say(reason, -EINVAL,
                          "state=%s: %" PRIu64
                          " of its pages are on a backing store, and none is given; "
                          "write backing=PATH too, as when they were written",
                          options->state, volume->found.stored);
    if (!options->backing)
        return 0;
    int r = backing_open(options->backing, options->backing_size, options->size,
                         options->backing_overwrite, options->backing_timeout * 1000,
                         volume->state.kept ? BUSY_MS : 0, &backing, reason);
    if (r < 0)
        return r;
    r = volume_set_backing(volume, backing, reason);
    if (r < 0)
        backing->ops->close(backing);
    return r;
}

/* The shared regions are files in the state from here on. */
static int open_state(struct volume *volume, struct reason *reason)
{
    const struct options *options = &volume->options;
    int r = state_open(&volume->state, options->state, options->size, reason);

    if (r < 0)
        return r;
    volume->parts.state = &volume->state;
    volume->parts.memory.directory = volume->state.directory;
    return 0;
}

static int survey_state(struct volume *volume, struct reason *reason)
{
    if (!volume->state.kept)
        return 0;
    int r =
        restore_survey(&volume->parts, volume->options.state, &volume->found, reason);
    if (r < 0)
        return r;
    volume->options.compressor.also_read = volume->found.codecs;
    return check_found(volume, least_bytes(&volume->options), reason);
}

static int refuse_parts(const struct volume *volume, int err, struct reason *reason)
{
    const struct options *options = &volume->options;

    if (err == -EUCLEAN)
        return reason_say(reason, err,
                          "state=%s: damaged: the files there are not of the length "
                          "that they had; name another directory, or delete what is "
                          "in it, which loses the pages",
                          options->state);
    return reason_say(reason, err,
                      "cannot reserve address space for %" PRIu64 " bytes: %s",
                      options->size, strerror(-err));
}

static int choose_identity(struct volume *volume, struct reason *reason)
{
    unsigned char *identity = volume->state.header.identity;

    if (!volume->state.kept &&
        getrandom(identity, STATE_IDENTITY_BYTES, 0) != STATE_IDENTITY_BYTES)
        return reason_say(reason, -EIO, "no random numbers: %s", strerror(errno));
    for (unsigned i = 0; i < STATE_IDENTITY_BYTES; i++)
        sprintf(volume->identity + 2 * i, "%02x", identity[i]);
    return 0;
}

int volume_open(const struct options *options, struct volume **volume,
                struct reason *reason)
{
    int r = options_complete(options, reason);
    if (r < 0)
        return r;

    uint64_t least = least_bytes(options);
    if ((r = check_limit(options, least, reason)) < 0 ||
        (r = check_lock_limit(options, reason)) < 0)
        return r;

    struct volume *made = calloc(1, sizeof *made);
    if (!made)
        return reason_say(reason, -ENOMEM, "no memory for the volume");
    made->options = *options;
    made->state.directory = -1;
    memory_init(&made->parts.memory, options->memory_limit);
    if (options->state)
        r = open_state(made, reason);
    if (r == 0) {
        r = open_parts(made);
        if (r < 0)
            refuse_parts(made, r, reason);
    }
    if (r == 0)
        r = choose_identity(made, reason);
    if (r == 0)
        r = survey_state(made, reason);
    if (r == 0) {
        r = open_contexts(made);
        if (r < 0)
            refuse_parts(made, r, reason);
    }
    if (r == 0)
        r = open_backing(made, reason);
    if (r == 0 && options->state)
        r = state_complete(&made->state, reason);
    if (r < 0) {
        volume_close(made);
        return r;
    }
    *volume = made;
    return 0;
}

/* -- Starting, after it. -- */

static int start_loop(struct parts *parts)
{
    int r = loop_open(&parts->loop);

    if (r == 0 && parts->writeback)
        r = writeback_start(parts->writeback, parts->loop.base);
    if (r == 0)
        r = loop_start(&parts->loop);
    return r;
}

int volume_start(struct volume *volume, struct reason *reason)
{
    struct parts *parts = &volume->parts;

    /* Threads that come later, ours and our host's, inherit it. */
    volume->process_flusher = process_be_flusher();
    if (volume->options.memory_lock)
        volume->process_locked = process_lock() == 0;

    int r = slot_table_start(&parts->slots);
    if (r == 0)
        r = pool_start(&parts->pool);
    if (r == 0)
        r = context_set_start(&parts->contexts);
    if (r == 0 && parts->writeback)
        r = writeback_prepare(parts->writeback);
    if (r == 0 && volume->state.kept &&
        restore_adopt(parts, volume->options.state, &volume->found, reason) < 0)
        return -EUCLEAN;
    if (r == 0 &&
        (parts->writeback || volume->options.control || volume->options.metrics_port))
        r = start_loop(parts);
    if (r < 0)
        return reason_say(reason, r, "cannot get memory to start with: %s",
                          strerror(-r));
    return 0;
}

void volume_close(struct volume *volume)
{
    if (!volume)
        return;
    if (volume->parts.writeback && volume->parts.loop.running)
        writeback_stop(volume->parts.writeback);
    loop_stop(&volume->parts.loop);
    writeback_close(volume->parts.writeback);
    loop_close(&volume->parts.loop);
    recompress_close(&volume->parts.recompress);
    context_set_close(&volume->parts.contexts);
    pool_close(&volume->parts.pool);
    slot_table_close(&volume->parts.slots);
    state_close(&volume->state);
    lock_destroy(&volume->parts.compact_lock);
    free(volume);
}

void volume_set_host(struct volume *volume, const struct volume_host *host)
{
    volume->parts.host = *host;
}

uint64_t volume_size_bytes(const struct volume *volume)
{
    return volume->options.size;
}

bool volume_state_is_on_disk(const struct volume *volume)
{
    return volume->state.is_on_disk;
}

const char *volume_why_no_room(const struct volume *volume)
{
    switch (report_backing_state(volume->parts.writeback)) {
    case BACKING_FULL:
        return "memory-limit is reached, and the backing store is full";
    case BACKING_OVER_BUDGET:
        return "memory-limit is reached, and writeback-limit is used up";
    case BACKING_AWAY:
        return "memory-limit is reached, and the NBD server behind it does not answer";
    case BACKING_FAILED:
        return "memory-limit is reached, and the backing store fails";
    case BACKING_OK:
        return "memory-limit is reached, and pages do not leave fast enough";
    case BACKING_NONE:
    case BACKING_STATE_COUNT:
        break;
    }
    return "memory-limit is reached";
}

uint64_t volume_found_pages(const struct volume *volume)
{
    return volume->found.pages;
}

const char *volume_identity(const struct volume *volume)
{
    return volume->identity;
}

const char *volume_backing_name(unsigned i)
{
    return backing_names[i];
}

bool volume_process_is_flusher(const struct volume *volume)
{
    return volume->process_flusher;
}

bool volume_process_is_locked(const struct volume *volume)
{
    return volume->process_locked;
}

/* -- Requests, cut into pages. -- */

static bool is_within(const struct volume *volume, uint64_t offset, uint64_t bytes)
{
    return offset <= volume->options.size && bytes <= volume->options.size - offset;
}

/* The part of a request that lies in its first page. */
static uint32_t first_part(uint64_t offset, uint64_t bytes)
{
    uint32_t part = PAGE_BYTES - (uint32_t)(offset % PAGE_BYTES);

    return bytes < part ? (uint32_t)bytes : part;
}

/* The slot behind the last one of a request. */
static slot_t end_slot(uint64_t offset, uint64_t bytes)
{
    return (offset + bytes + PAGE_BYTES - 1) / PAGE_BYTES;
}

int volume_read(struct volume *volume, uint64_t offset, uint64_t bytes, void *out)
{
    struct parts *parts = &volume->parts;
    struct ahead several, *ahead = NULL;
    char *to = out;
    int r = 0;

    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    if (first_part(offset, bytes) < bytes) {
        ahead = &several;
        ahead_open(ahead, parts, end_slot(offset, bytes));
    }
    while (r == 0 && bytes > 0) {
        uint32_t part = first_part(offset, bytes);

        r = read_part(parts, ahead, offset / PAGE_BYTES,
                      (uint32_t)(offset % PAGE_BYTES), part, to);
        offset += part;
        bytes -= part;
        to += part;
    }
    if (ahead)
        ahead_close(ahead);
    return r;
}

int volume_try_read(struct volume *volume, uint64_t offset, uint64_t bytes, void *out)
{
    char *to = out;

    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    while (bytes > 0) {
        uint32_t part = first_part(offset, bytes);
        int r = read_try_part(&volume->parts, offset / PAGE_BYTES,
                              (uint32_t)(offset % PAGE_BYTES), part, to);

        if (r < 0)
            return r;
        offset += part;
        bytes -= part;
        to += part;
    }
    return 0;
}

/* How far it came is *DONE, also when it fails. */
static int write_pages(struct volume *volume, uint64_t offset, uint64_t bytes,
                       const void *data, struct write_terms *terms, uint64_t *done)
{
    const char *from = data;

    *done = 0;
    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    while (*done < bytes) {
        uint64_t at = offset + *done;
        uint32_t part = first_part(at, bytes - *done);
        int r = write_part(&volume->parts, at / PAGE_BYTES, (uint32_t)(at % PAGE_BYTES),
                           part, from + *done, terms);

        if (r < 0)
            return r;
        *done += part;
    }
    return 0;
}

int volume_write(struct volume *volume, uint64_t offset, uint64_t bytes,
                 const void *data)
{
    struct write_terms terms = WRITE_WAITS;
    uint64_t done;

    return write_pages(volume, offset, bytes, data, &terms, &done);
}

int volume_try_write(struct volume *volume, uint64_t offset, uint64_t bytes,
                     const void *data, uint64_t *done)
{
    struct write_terms terms = {.may_wait = false};

    return write_pages(volume, offset, bytes, data, &terms, done);
}

int volume_write_while(struct volume *volume, uint64_t offset, uint64_t bytes,
                       const void *data, volume_wanted_fn *is_wanted, void *opaque)
{
    struct write_terms terms = WRITE_WAITS;
    uint64_t done;

    terms.is_wanted = is_wanted;
    terms.opaque = opaque;
    return write_pages(volume, offset, bytes, data, &terms, &done);
}

int volume_trim(struct volume *volume, uint64_t offset, uint64_t bytes)
{
    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    trim_range(&volume->parts, offset, bytes);
    return 0;
}

int volume_zero(struct volume *volume, uint64_t offset, uint64_t bytes)
{
    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    return trim_zero(&volume->parts, offset, bytes);
}

int volume_flush(struct volume *volume)
{
    (void)volume;
    return 0;
}

int volume_cache(struct volume *volume, uint64_t offset, uint64_t bytes)
{
    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    if (!volume->parts.writeback || bytes == 0)
        return 0;
    return read_cache(&volume->parts, offset / PAGE_BYTES, end_slot(offset, bytes));
}

int volume_extents(struct volume *volume, uint64_t offset, uint64_t bytes,
                   volume_extent_fn *fn, void *opaque)
{
    if (!is_within(volume, offset, bytes))
        return -EINVAL;
    return extents_walk(&volume->parts, offset, bytes, fn, opaque);
}

/* -- Care and figures. -- */

uint64_t volume_compact(struct volume *volume)
{
    return compact_all(&volume->parts, NULL);
}

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

uint64_t volume_compact_slowly(struct volume *volume, struct work *work)
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
