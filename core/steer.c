/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "steer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "parts.h"
#include "report.h"
#include "room.h"
#include "writeback.h"

int steer_mark_idle(struct parts *parts, uint32_t age_s, struct work *work)
{
    struct slot_table *slots = &parts->slots;
    unsigned units = 0;

    if (age_s > 0) {
        uint64_t unit_ms =
            parts->writeback ? writeback_age_unit_ms(parts->writeback) : 0;

        if (unit_ms == 0)
            return -EINVAL;
        uint64_t wanted = ((uint64_t)age_s * 1000 + unit_ms - 1) / unit_ms;
        units = wanted > SLOT_UNITS_MAX ? SLOT_UNITS_MAX + 1 : (unsigned)wanted;
    }
    work->total = slots->slots;
    for (slot_t slot = 0;
         !work->cancelled &&
         (slot = slot_next_present(slots, slot, slots->slots)) < slots->slots;
         slot++) {
        work->pages += slot_mark_idle(slots, slot, units);
        work->done = slot;
    }
    work->done = slots->slots;
    return 0;
}

/* -- Parameters. -- */

struct parameter {
    const char *key;
    bool is_about_backing;
};

static const struct parameter parameters[] = {
#define P(key, is_about_backing) {key, is_about_backing},
    STEER_PARAMETERS(P)
#undef P
};

static const struct parameter *find(const char *key)
{
    for (unsigned i = 0; i < sizeof parameters / sizeof *parameters; i++)
        if (strcmp(parameters[i].key, key) == 0)
            return &parameters[i];
    return NULL;
}

static int parse(struct parts *parts, const struct steer_pair *pairs, unsigned count,
                 struct options *wanted, struct reason *reason)
{
    wanted->seen = 0;
    for (unsigned i = 0; i < count; i++) {
        const char *key = pairs[i].key, *value = pairs[i].value;

        const struct parameter *parameter = find(key);

        if (!parameter)
            return reason_say(reason, -EINVAL,
                              "%s=%s: not a parameter that changes while running; "
                              "those there are:%s",
                              key, value, STEER_KEYS);
        if (parameter->is_about_backing && !parts->writeback)
            return reason_say(reason, -EINVAL,
                              "%s=%s: it is about a backing store, and there is none; "
                              "start the server with backing=PATH",
                              key, value);
        int r = options_set(wanted, key, value, reason);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool changes_compressor(const struct options *now, const struct options *wanted)
{
    return now->compressor.id != wanted->compressor.id ||
           now->compressor.level != wanted->compressor.level;
}

/* When pages go to the backing store. */
static bool says_when(const struct options *options)
{
    return options->memory_limit != UINT64_MAX || options->idle_age != 0;
}

/* MORE: what is still to be charged, in bytes. */
static int check_limit(struct parts *parts, const struct options *wanted, uint64_t more,
                       struct reason *reason)
{
    uint64_t limit = wanted->memory_limit;
    uint64_t used = memory_used_bytes(&parts->memory);
    uint64_t objects = parts->pool.table.committed_bytes;
    uint64_t fixed = used > objects ? used - objects : 0;

    used += more;
    fixed += more;
    if (limit == UINT64_MAX)
        return 0;
    if (limit < fixed + ROOM_BYTES_MIN)
        return reason_say(reason, -EBUSY,
                          "memory-limit=%" PRIu64 ": tables and codecs take %" PRIu64
                          " bytes now, and pages need some more; write at least "
                          "memory-limit=%" PRIu64 "k",
                          limit, fixed, (fixed + ROOM_BYTES_MIN + 1023) / 1024);
    if (limit >= used)
        return 0;
    if (!parts->writeback)
        return reason_say(reason, -EBUSY,
                          "memory-limit=%" PRIu64 ": %" PRIu64 " bytes are in use, "
                          "%" PRIu64
                          " too many, of which a compaction may free %" PRIu64,
                          limit, used, used - limit, pool_free_bytes(&parts->pool));
    uint64_t live = parts->pool.live_bytes;
    uint64_t needed = fixed + live > limit ? fixed + live - limit : 0;
    uint64_t room = writeback_room_bytes(parts->writeback);
    if (needed > room)
        return reason_say(reason, -EBUSY,
                          "memory-limit=%" PRIu64 ": %" PRIu64
                          " bytes of objects would "
                          "have to leave, and the backing store takes %" PRIu64
                          " now, %" PRIu64 " too few; its state is %s",
                          limit, needed, room, needed - room,
                          backing_state_word(report_backing_state(parts->writeback)));
    uint64_t budget = writeback_budget_bytes(parts->writeback, wanted->writeback_limit);
    if (needed > budget)
        return reason_say(reason, -EBUSY,
                          "memory-limit=%" PRIu64 ": %" PRIu64
                          " bytes of objects would "
                          "have to leave, and writeback-limit lets %" PRIu64
                          " go now; raise it, or wait until it has refilled",
                          limit, needed, budget);
    return 0;
}

/* All that can fail of limit and compressor, and then both of them. */
static int change_memory(struct parts *parts, const struct options *options,
                         const struct options *wanted, struct reason *reason)
{
    struct memory *memory = &parts->memory;
    struct context_set *contexts = &parts->contexts;
    bool changes = changes_compressor(options, wanted);
    /* What a new compressor takes for a while: the old one is there until all have it. */
    uint64_t more =
        changes ? context_set_change_bytes(contexts, wanted->compressor) : 0;
    struct context_change change;

    int r = check_limit(parts, wanted, more, reason);
    if (r < 0)
        return r;
    /* It is charged while the wider of the two limits is in force: under the other one pages
     * may have to leave first. */
    if (wanted->memory_limit > options->memory_limit)
        memory->limit_bytes = wanted->memory_limit;
    if (changes &&
        (r = context_set_prepare(contexts, wanted->compressor, &change)) < 0) {
        memory->limit_bytes = options->memory_limit;
        return reason_say(reason, r,
                          "no memory for the compressor within memory-limit, it takes "
                          "%" PRIu64 " bytes: nothing has changed",
                          more);
    }
    /* The limit is in force before what is in use is seen again: writers took what they
     * wanted meanwhile. */
    memory->limit_bytes = wanted->memory_limit;
    if ((r = check_limit(parts, wanted, 0, reason)) < 0) {
        memory->limit_bytes = options->memory_limit;
        if (changes)
            context_set_cancel(contexts, &change);
        return r;
    }
    if (changes)
        context_set_commit(contexts, &change);
    return 0;
}

int steer_set(struct parts *parts, struct options *options,
              const struct steer_pair *pairs, unsigned count, struct reason *reason)
{
    struct options wanted = *options;
    int r;

    if (count == 0)
        return reason_say(reason, -EINVAL, "nothing to set; write KEY=VALUE of:%s",
                          STEER_KEYS);
    if ((r = parse(parts, pairs, count, &wanted, reason)) < 0)
        return r;
    if (parts->writeback && !says_when(&wanted) && says_when(options))
        return reason_say(reason, -EINVAL,
                          "nothing would say when pages go to the backing store; keep "
                          "memory-limit or idle-age");
    if ((r = change_memory(parts, options, &wanted, reason)) < 0)
        return r;
    if (parts->writeback) {
        if (wanted.idle_age != options->idle_age)
            writeback_set_idle_age(parts->writeback, wanted.idle_age);
        if (wanted.writeback_limit != options->writeback_limit)
            writeback_set_limit(parts->writeback, wanted.writeback_limit);
        room_poke(parts->writeback);
    }
    options->compressor = wanted.compressor;
    options->memory_limit = wanted.memory_limit;
    options->idle_age = wanted.idle_age;
    options->writeback_limit = wanted.writeback_limit;
    return 0;
}
