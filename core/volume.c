/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "volume-state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "block-format.h"
#include "parse.h"
#include "process.h"
#include "writeback.h"

_Static_assert(VOLUME_PAGE_BYTES == PAGE_BYTES, "volume.h repeats it for the faces");

/* How long a start waits for I/O of a process that was killed to leave the backing store. */
#define BUSY_MS 20000

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
        "memory-limit=%s: tables, codecs and buffers for this size and compressor "
        "take %" PRIu64 " bytes, and pages need some more; write at least "
        "memory-limit=%" PRIu64 "k",
        options->memory_limit_text, least - ROOM_BYTES_MIN, (least + 1023) / 1024);
}

/* What it takes to know which blocks of a backing store are used; the rest of writeback_bytes() is the same
 * for all. */
static uint64_t blocks_bytes(uint64_t backing_bytes)
{
    return writeback_bytes(backing_bytes) - writeback_bytes(BACKING_BYTES_MIN);
}

/* The largest power of two for which BYTES are enough, with a bit per block in a state; 0: none is. */
static uint64_t backing_bytes_for(uint64_t bytes)
{
    uint64_t most = BACKING_BYTES_MAX;

    while (most >= BACKING_BYTES_MIN && blocks_bytes(most) > bytes - bytes / 32)
        most /= 2;
    return most >= BACKING_BYTES_MIN ? most : 0;
}

/* LEAST with BACKING, which people know by NAME: when it is the cause, it is what there can be less of. */
static int check_backing_limit(const struct options *options,
                               const struct backing *backing, const char *name,
                               uint64_t least, struct reason *reason)
{
    uint64_t bytes = blocks_bytes(backing->bytes), others = least - bytes;
    uint64_t most = 0;

    if (options->memory_limit >= least || bytes <= others)
        return check_limit(options, least, reason);
    if (options->memory_limit > others)
        most = backing_bytes_for(options->memory_limit - others);
    return reason_say(reason, -EINVAL,
                      "memory-limit=%s: the account of %s takes %" PRIu64
                      " bytes, and all else %" PRIu64
                      "; write %s%s%sat least memory-limit=%" PRIu64 "k",
                      options->memory_limit_text, name, bytes, others - ROOM_BYTES_MIN,
                      most > 0 ? "for example backing-size=" : "",
                      most > 0 ? parse_text_of_size(most).text : "",
                      most > 0 ? ", or " : "", (least + 1023) / 1024);
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

/* What of a backing store is used: by the parameter that says so, or by its size. */
static struct reason backing_name(const struct options *options,
                                  const struct backing *backing)
{
    struct reason name;

    if (options->backing_size)
        reason_say(&name, 0, "backing-size=%s", options->backing_size_text);
    else
        reason_say(&name, 0, "%s of backing=%.400s",
                   parse_text_of_size(backing->bytes).text,
                   options->backing ? options->backing : "");
    return name;
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
                          "backing=%s: pages of state=%s are on it up to %s, and %s is "
                          "used; write at least backing-size=%s",
                          where, options->state, parse_text_of_size(bytes).text,
                          backing_name(options, backing).text,
                          parse_text_of_size(bytes).text);
    return 0;
}

int volume_set_backing(struct volume *volume, struct backing *backing,
                       struct reason *reason)
{
    const struct options *options = &volume->options;
    uint64_t least = least_bytes(options) + writeback_bytes(backing->bytes) +
                     (options->state ? writeback_state_bytes(backing) : 0);
    int r = check_backing_limit(options, backing, backing_name(options, backing).text,
                                least, reason);
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
    const struct backing_terms terms = {
        .bytes = options->backing_size,
        .bytes_text = options->backing_size_text,
        .file_bytes = options->size,
        .overwrite = options->backing_overwrite,
        .timeout_ms = options->backing_timeout * 1000,
        .busy_ms = volume->state.kept ? BUSY_MS : 0,
    };
    int r = backing_open(options->backing, &terms, &backing, reason);
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

int volume_prepare(struct volume *volume, struct reason *reason)
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

static void begin(void *opaque)
{
    writeback_begin(opaque);
}

void volume_begin(struct volume *volume)
{
    struct parts *parts = &volume->parts;

    volume->begun = true;
    while (parts->writeback && loop_call(&parts->loop, begin, parts->writeback) < 0)
        ; /* memory will come */
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
    if (!volume->begun)
        state_take_away(&volume->state);
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

bool volume_warns(const struct volume *volume, struct reason *reason)
{
    if (volume->state.is_on_disk)
        reason_say(
            reason, 0,
            "warning: state=%s: not on a tmpfs, so that the kernel writes it to a "
            "disk; name a directory on one, for example in /dev/shm",
            volume->options.state);
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
