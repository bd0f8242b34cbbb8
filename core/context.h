/* context.h - what a request needs while it works on a page
 *
 * Owns:    codec contexts, scratch buffers and counters, made once.
 * Called:  by request threads, at the same time.
 * Locks:   LOCK_RANK_CONTEXT, only when all contexts are taken.
 * Never:   allocates after context_set_start().
 *
 * A context is taken for one page and given back.  There are a few per processor,
 * however many connections or threads our host has: more threads than that cannot
 * compress at the same time anyway, and their contexts (170 KiB each with zstd) would
 * only take RAM from pages.  A thread comes back to the context it had last, whose
 * tables are still in its cache.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_CONTEXT_H
#define ZSLOT_CONTEXT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec.h"
#include "latency.h"
#include "lock.h"
#include "page.h"
#include "region.h"
#include "stats.h"

/* As many as a slot's age has units of time. */
#define CONTEXT_UNITS 32

struct context {
    _Atomic uint32_t taken;
    /* Changed by context_set_commit(), with the context taken. */
    struct codec_choice choice;
    void *compressor;                 /* of that choice */
    void *decompressors[CODEC_COUNT]; /* of all codecs that there may be objects of */
    unsigned char *page;              /* PAGE_BYTES: a page being merged or cut */
    unsigned char *object;            /* PAGE_BYTES: an object being built or read */
    /* Written by who has taken the context, read by anybody. */
    _Atomic int64_t counters[STAT_COUNT];
    /* Accesses to pages that were so many units of time old (idle.h); young ones are
     * not counted. */
    _Atomic uint64_t wanted[CONTEXT_UNITS];
    _Atomic uint64_t promoted[CONTEXT_UNITS]; /* the same of promotions, all of them */
    unsigned until_timed; /* reads of pages in RAM; who has taken the context's own */
    struct latency latency;
} __attribute__((aligned(128)));

struct context_set {
    unsigned count;
    struct codec_choice choice;
    struct region region;
    struct context *contexts;
    bool untimed; /* reads are not timed */
    /* After a change of codec: compressors, in one or the other in turn, and decompressors
     * that were not there from the start. */
    struct region compressors[2];
    unsigned turn;
    struct region decompressors[CODEC_COUNT];

    struct lock changes; /* of codecs, one at a time */
    struct lock lock;
    pthread_cond_t given;
    _Atomic uint32_t waiters;
};

/* The RAM that a set takes, in bytes. */
uint64_t context_set_bytes(unsigned count, struct codec_choice choice);

/* How many contexts suit this machine. */
unsigned context_count_default(void);

/* COUNT contexts for CHOICE.  -ENOMEM. */
int context_set_open(struct context_set *set, unsigned count,
                     struct codec_choice choice, struct memory *memory,
                     bool lock_in_ram);
int context_set_start(struct context_set *set); /* -ENOSPC, -ENOMEM */
void context_set_close(struct context_set *set);

/* A change of the codec by which pages are compressed, in two steps; objects of all codecs are
 * read as before.  -ENOSPC, -ENOMEM: no RAM for it, and nothing has changed; otherwise the
 * change is either committed or cancelled, by the same thread, which has the codecs' lock
 * until then.  A commit cannot fail.  Under no other lock: it waits for each context in turn. */
struct context_change {
    struct codec_choice choice;
    bool has_decompressors; /* made for it */
};
int context_set_prepare(struct context_set *set, struct codec_choice choice,
                        struct context_change *change);
void context_set_commit(struct context_set *set, const struct context_change *change);
void context_set_cancel(struct context_set *set, const struct context_change *change);

/* The RAM which that takes while it is made, beyond what there is, in bytes. */
uint64_t context_set_change_bytes(struct context_set *set, struct codec_choice choice);

/* So that objects of codec ID can be read.  Errors as above. */
int context_set_add_decompressor(struct context_set *set, enum codec_id id);

/* What the set was charged. */
uint64_t context_set_charged_bytes(const struct context_set *set);

/* Takes a context, waiting for one if need be.  Not under any lock. */
struct context *context_take(struct context_set *set);
void context_give(struct context_set *set, struct context *context);

/* Adds to a counter of a context that the caller has taken. */
static inline void context_count(struct context *context, enum stat_id stat, int64_t n)
{
    _Atomic int64_t *counter = &context->counters[stat];

    atomic_store_explicit(counter,
                          atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline void context_count_promoted(struct context *context, unsigned units)
{
    atomic_store_explicit(
        &context->promoted[units],
        atomic_load_explicit(&context->promoted[units], memory_order_relaxed) + 1,
        memory_order_relaxed);
}

/* An access to a page UNITS old. */
static inline void context_count_wanted(struct context *context, unsigned units)
{
    if (units > 0)
        atomic_store_explicit(
            &context->wanted[units],
            atomic_load_explicit(&context->wanted[units], memory_order_relaxed) + 1,
            memory_order_relaxed);
}

uint64_t context_set_wanted(const struct context_set *set, unsigned units);

/* Whether the read that begins is one whose latency is to be counted. */
static inline bool context_times_read(struct context *context)
{
    if (context->until_timed-- > 0)
        return false;
    context->until_timed = LATENCY_SAMPLE - 1;
    return true;
}

/* Whether reads are timed from now on, as they are at first; nobody may be at work. */
void context_set_time_reads(struct context_set *set, bool timed);

void context_set_latency(const struct context_set *set, enum latency_source source,
                         struct latency_sum *sum);
uint64_t context_set_promoted(const struct context_set *set, unsigned units);

/* The sum over all contexts. */
int64_t context_set_sum(const struct context_set *set, enum stat_id stat);

#endif
