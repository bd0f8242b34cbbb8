/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "context.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

#define CONTEXTS_MIN 4
#define CONTEXTS_MAX 256

static size_t aligned(size_t bytes)
{
    return (bytes + 127) / 128 * 128;
}

static size_t compressor_bytes(struct codec_choice choice)
{
    const struct codec *codec = codecs[choice.id];

    return codec->compressor_bytes ? codec->compressor_bytes(choice.level) : 0;
}

/* 0: it needs none, or no object is of that codec. */
static size_t decompressor_bytes(struct codec_choice choice, unsigned id)
{
    if (id != choice.id && !(choice.also_read >> id & 1))
        return 0;
    return codecs[id]->decompressor_bytes ? codecs[id]->decompressor_bytes() : 0;
}

/* What one context takes besides struct context. */
static size_t parts_bytes(struct codec_choice choice)
{
    size_t bytes = 2 * PAGE_BYTES + aligned(compressor_bytes(choice));

    for (unsigned id = 0; id < CODEC_COUNT; id++)
        bytes += aligned(decompressor_bytes(choice, id));
    return bytes;
}

uint64_t context_set_bytes(unsigned count, struct codec_choice choice)
{
    uint64_t bytes = (uint64_t)count * (sizeof(struct context) + parts_bytes(choice));

    return page_round_up(bytes);
}

unsigned context_count_default(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    /* Some to spare: a thread may lose its processor while it has a context.  At 170 KiB
     * each, more than that would be felt in the density of small volumes. */
    long count = processors + 2;

    if (count < CONTEXTS_MIN)
        return CONTEXTS_MIN;
    return count > CONTEXTS_MAX ? CONTEXTS_MAX : (unsigned)count;
}

int context_set_open(struct context_set *set, unsigned count,
                     struct codec_choice choice, struct memory *memory,
                     bool lock_in_ram)
{
    set->count = count;
    set->choice = choice;
    set->contexts = NULL;
    set->turn = 0;
    memset(set->compressors, 0, sizeof set->compressors);
    memset(set->decompressors, 0, sizeof set->decompressors);
    int r = region_open(&set->region, REGION_PRIVATE, "zslot-contexts",
                        context_set_bytes(count, choice), memory, lock_in_ram);
    if (r < 0)
        return r;
    lock_init(&set->changes, LOCK_RANK_CODECS);
    lock_init(&set->lock, LOCK_RANK_CONTEXT);
    pthread_cond_init(&set->given, NULL);
    atomic_init(&set->waiters, 0);
    return 0;
}

static char *cut(char **from, size_t bytes)
{
    char *part = *from;

    *from += aligned(bytes);
    return part;
}

static bool context_make(struct context *context, struct codec_choice choice,
                         char **memory)
{
    const struct codec *codec = codecs[choice.id];
    size_t bytes = compressor_bytes(choice);

    context->choice = choice;
    context->page = (unsigned char *)cut(memory, PAGE_BYTES);
    context->object = (unsigned char *)cut(memory, PAGE_BYTES);
    if (codec->compressor_init) {
        context->compressor =
            codec->compressor_init(cut(memory, bytes), bytes, choice.level);
        if (!context->compressor)
            return false;
    }
    for (unsigned id = 0; id < CODEC_COUNT; id++) {
        bytes = decompressor_bytes(choice, id);
        if (bytes == 0)
            continue;
        context->decompressors[id] =
            codecs[id]->decompressor_init(cut(memory, bytes), bytes);
        if (!context->decompressors[id])
            return false;
    }
    return true;
}

int context_set_start(struct context_set *set)
{
    int r = region_start(&set->region);
    if (r < 0)
        return r;
    r = region_commit(&set->region, 0, set->region.bytes);
    if (r < 0)
        return r;

    set->contexts = (struct context *)set->region.base;
    char *memory = (char *)(set->contexts + set->count);
    for (unsigned i = 0; i < set->count; i++)
        if (!context_make(&set->contexts[i], set->choice, &memory))
            return -ENOMEM;
    return 0;
}

void context_set_close(struct context_set *set)
{
    if (!set->region.base)
        return;
    pthread_cond_destroy(&set->given);
    lock_destroy(&set->lock);
    lock_destroy(&set->changes);
    for (unsigned i = 0; i < 2; i++)
        region_close(&set->compressors[i]);
    for (unsigned id = 0; id < CODEC_COUNT; id++)
        region_close(&set->decompressors[id]);
    region_close(&set->region);
}

static bool try_take_this(struct context *context)
{
    return atomic_load(&context->taken) == 0 &&
           atomic_exchange_explicit(&context->taken, 1, memory_order_acquire) == 0;
}

static struct context *try_take(struct context_set *set)
{
    static _Atomic unsigned next_thread;
    static __thread unsigned last = UINT32_MAX;

    if (last == UINT32_MAX)
        last = atomic_fetch_add_explicit(&next_thread, 1, memory_order_relaxed);
    for (unsigned i = 0; i < set->count; i++) {
        unsigned n = (last + i) % set->count;
        struct context *context = &set->contexts[n];

        if (try_take_this(context)) {
            last = n;
            return context;
        }
    }
    return NULL;
}

struct context *context_take(struct context_set *set)
{
    struct context *context = try_take(set);
    if (context)
        return context;

    LOCK_FOR_SCOPE(&set->lock);
    /* Announced before the last look, so that who gives one back after it sees us. */
    atomic_fetch_add(&set->waiters, 1);
    while (!(context = try_take(set)))
        pthread_cond_wait(&set->given, &set->lock.mutex);
    atomic_fetch_sub(&set->waiters, 1);
    return context;
}

/* Takes this one, whoever has it now. */
static void take_this(struct context_set *set, struct context *context)
{
    LOCK_FOR_SCOPE(&set->lock);

    atomic_fetch_add(&set->waiters, 1);
    while (!try_take_this(context))
        pthread_cond_wait(&set->given, &set->lock.mutex);
    atomic_fetch_sub(&set->waiters, 1);
}

void context_give(struct context_set *set, struct context *context)
{
    /* An exchange, not a store: it must not be passed by the look at waiters. */
    atomic_exchange(&context->taken, 0);
    if (atomic_load(&set->waiters) > 0) {
        LOCK_FOR_SCOPE(&set->lock);
        pthread_cond_broadcast(&set->given);
    }
}

int64_t context_set_sum(const struct context_set *set, enum stat_id stat)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < set->count; i++)
        sum += atomic_load_explicit(&set->contexts[i].counters[stat],
                                    memory_order_relaxed);
    return sum;
}

uint64_t context_set_wanted(const struct context_set *set, unsigned units)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < set->count; i++)
        sum +=
            atomic_load_explicit(&set->contexts[i].wanted[units], memory_order_relaxed);
    return sum;
}

uint64_t context_set_promoted(const struct context_set *set, unsigned units)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < set->count; i++)
        sum += atomic_load_explicit(&set->contexts[i].promoted[units],
                                    memory_order_relaxed);
    return sum;
}

void context_set_time_reads(struct context_set *set, bool timed)
{
    set->untimed = !timed;
    for (unsigned i = 0; i < set->count; i++)
        set->contexts[i].until_timed = timed ? 0 : UINT_MAX; /* not for 2^32 reads */
}

void context_set_latency(const struct context_set *set, enum latency_source source,
                         struct latency_sum *sum)
{
    *sum = (struct latency_sum){0};
    for (unsigned i = 0; i < set->count; i++)
        latency_add(sum, &set->contexts[i].latency, source);
}

/* -- Another codec, while running. -- */

/* RAM for BYTES per context.  On failure the region is closed. */
static int open_region(struct context_set *set, struct region *region, const char *name,
                       size_t bytes)
{
    uint64_t all = (uint64_t)set->count * bytes;
    int r = region_open(region, REGION_PRIVATE, name, page_round_up(all),
                        set->region.memory, set->region.lock_in_ram);

    if (r < 0)
        return r;
    r = region_start(region);
    if (r == 0)
        r = region_commit(region, 0, region->bytes);
    if (r < 0)
        region_close(region);
    return r;
}

static void give_back(struct region *region)
{
    if (!region->base)
        return;
    region_release(region, 0, region->bytes);
    region_close(region);
}

static uint64_t region_bytes(const struct context_set *set, size_t bytes)
{
    return page_round_up(set->count * aligned(bytes));
}

uint64_t context_set_change_bytes(struct context_set *set, struct codec_choice choice)
{
    LOCK_FOR_SCOPE(&set->changes);
    const struct codec *codec = codecs[choice.id];
    uint64_t bytes = 0;

    if (codec->compressor_init)
        bytes += region_bytes(set, compressor_bytes(choice));
    if (codec->decompressor_init && !set->contexts[0].decompressors[choice.id])
        bytes += region_bytes(set, codec->decompressor_bytes());
    return bytes;
}

/* Decompressors for objects of codec ID, which no context has yet.  *MADE: whether there was
 * a need for any. */
static int make_decompressors(struct context_set *set, enum codec_id id, bool *made)
{
    const struct codec *codec = codecs[id];
    struct region *region = &set->decompressors[id];

    *made = false;
    /* The first context has what all have. */
    if (!codec->decompressor_init || set->contexts[0].decompressors[id])
        return 0;
    size_t bytes = codec->decompressor_bytes(), step = aligned(bytes);
    int r = open_region(set, region, "zslot-decompressors", step);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < set->count; i++)
        if (!codec->decompressor_init(region->base + i * step, bytes)) {
            give_back(region); /* of memory of that size: does not happen */
            return -ENOMEM;
        }
    *made = true;
    return 0;
}

static void hand_out_decompressors(struct context_set *set, enum codec_id id)
{
    size_t step = aligned(codecs[id]->decompressor_bytes());

    for (unsigned i = 0; i < set->count; i++) {
        take_this(set, &set->contexts[i]);
        set->contexts[i].decompressors[id] = set->decompressors[id].base + i * step;
        context_give(set, &set->contexts[i]);
    }
}

int context_set_add_decompressor(struct context_set *set, enum codec_id id)
{
    LOCK_FOR_SCOPE(&set->changes);
    bool made;
    int r = make_decompressors(set, id, &made);

    if (made)
        hand_out_decompressors(set, id);
    return r;
}

static int make_compressors(struct context_set *set, struct codec_choice choice)
{
    const struct codec *codec = codecs[choice.id];
    struct region *region = &set->compressors[1 - set->turn];
    size_t bytes = compressor_bytes(choice), step = aligned(bytes);

    if (!codec->compressor_init)
        return 0;
    int r = open_region(set, region, "zslot-compressors", step);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < set->count; i++)
        if (!codec->compressor_init(region->base + i * step, bytes, choice.level)) {
            give_back(region);
            return -ENOMEM;
        }
    return 0;
}

int context_set_prepare(struct context_set *set, struct codec_choice choice,
                        struct context_change *change)
{
    lock_take(&set->changes);
    change->choice = choice;
    int r = make_compressors(set, choice);
    if (r == 0) {
        r = make_decompressors(set, choice.id, &change->has_decompressors);
        if (r < 0)
            give_back(&set->compressors[1 - set->turn]);
    }
    if (r < 0)
        lock_release(&set->changes);
    return r;
}

void context_set_cancel(struct context_set *set, const struct context_change *change)
{
    give_back(&set->compressors[1 - set->turn]);
    if (change->has_decompressors)
        give_back(&set->decompressors[change->choice.id]);
    lock_release(&set->changes);
}

void context_set_commit(struct context_set *set, const struct context_change *change)
{
    struct codec_choice choice = change->choice;
    unsigned turn = 1 - set->turn;
    size_t step = aligned(compressor_bytes(choice));
    char *compressors = set->compressors[turn].base;

    if (change->has_decompressors)
        hand_out_decompressors(set, choice.id);
    for (unsigned i = 0; i < set->count; i++) {
        struct context *context = &set->contexts[i];

        take_this(set, context);
        context->choice = choice;
        context->compressor = compressors ? compressors + i * step : NULL;
        context_give(set, context);
    }
    give_back(&set->compressors[set->turn]);
    set->turn = turn;
    set->choice = choice;
    lock_release(&set->changes);
}

uint64_t context_set_charged_bytes(const struct context_set *set)
{
    uint64_t bytes = set->region.bytes;

    for (unsigned i = 0; i < 2; i++)
        bytes += set->compressors[i].base ? set->compressors[i].bytes : 0;
    for (unsigned id = 0; id < CODEC_COUNT; id++)
        bytes += set->decompressors[id].base ? set->decompressors[id].bytes : 0;
    return bytes;
}
