/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "random-model.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "model.h"
#include "sample.h"

#define THREADS 4
#define SIZE RANDOM_MODEL_SIZE
#define PAGES (SIZE / PAGE)
#define GROUPS (THREADS + 2) /* page number modulo this: own, own ..., split, shared */
#define SPLIT_GROUP THREADS
#define SHARED_GROUP (THREADS + 1)
#define PART_BYTES 1021 /* of a split page, per thread */

static struct volume *volume;
static struct model model;
static bool limited, has_backing;
static atomic_bool stop;
static unsigned long ops_per_thread;

struct worker {
    pthread_t thread;
    unsigned number;
    uint64_t random;
    uint64_t sequence;
    uint64_t refused;
};

static uint64_t next(struct worker *worker)
{
    return harness_random(&worker->random);
}

static uint64_t page_of(struct worker *worker, unsigned group)
{
    return next(worker) % (PAGES / GROUPS) * GROUPS + group;
}

/* 0, or -ENOSPC when there is a limit: then nothing has changed. */
static bool done(struct worker *worker, int r)
{
    if (r == 0)
        return true;
    ck_assert_int_eq(r, -ENOSPC);
    ck_assert(limited);
    worker->refused++;
    return false;
}

/* -- Pages and parts that the array knows. -- */

/* Any request within BYTES at OFFSET, which are this thread's alone. */
static void use_own(struct worker *worker, uint64_t offset, uint32_t bytes)
{
    unsigned char data[PAGE];
    uint64_t random = next(worker);

    if (random % 4 == 0) {
        uint32_t from = (uint32_t)(next(worker) % bytes);
        offset += from;
        bytes = (uint32_t)(next(worker) % (bytes - from)) + 1;
    }
    switch (random >> 8 & 7) {
    case 0:
        if (done(worker, volume_zero(volume, offset, bytes)))
            model_zero(&model, offset, bytes);
        break;
    case 1:
        ck_assert_int_eq(volume_trim(volume, offset, bytes), 0);
        model_trim(&model, offset, bytes);
        break;
    case 2:
    case 3:
    case 4:
        ck_assert_int_eq(volume_read(volume, offset, bytes, data), 0);
        ck_assert_mem_eq(data, model.bytes + offset, bytes);
        break;
    default:
        sample_page((enum sample)((random >> 16) % SAMPLE_COUNT), random >> 20, data);
        if (done(worker, volume_write(volume, offset, bytes, data)))
            model_write(&model, offset, bytes, data);
    }
}

/* -- Pages that say what they are. -- */

struct label {
    uint64_t page, thread, sequence, kind;
};

static void make_labelled(const struct label *label, unsigned char *out)
{
    sample_page((enum sample)label->kind,
                label->page ^ label->thread << 40 ^ label->sequence << 20, out);
    memcpy(out, label, sizeof *label);
}

static void check_labelled(uint64_t page, const unsigned char *data)
{
    static const unsigned char zeroes[PAGE];
    unsigned char should[PAGE];
    struct label label;

    if (memcmp(data, zeroes, PAGE) == 0)
        return; /* never written, or trimmed */
    memcpy(&label, data, sizeof label);
    ck_assert_msg(
        label.page == page && label.thread < THREADS && label.kind < SAMPLE_COUNT,
        "page %lu says that it is page %lu of thread %lu", (unsigned long)page,
        (unsigned long)label.page, (unsigned long)label.thread);
    make_labelled(&label, should);
    ck_assert_mem_eq(data, should, PAGE);
}

static void use_shared(struct worker *worker)
{
    uint64_t page = page_of(worker, SHARED_GROUP);
    unsigned char data[PAGE];

    if (next(worker) % 2) {
        struct label label = {page, worker->number, ++worker->sequence,
                              next(worker) % SAMPLE_COUNT};

        make_labelled(&label, data);
        done(worker, volume_write(volume, page * PAGE, PAGE, data));
    } else {
        ck_assert_int_eq(volume_read(volume, page * PAGE, PAGE, data), 0);
        check_labelled(page, data);
    }
}

/* -- Threads. -- */

static void *work(void *opaque)
{
    struct worker *worker = opaque;

    for (unsigned long i = 0; i < ops_per_thread; i++)
        switch (next(worker) % 4) {
        case 0:
            use_shared(worker);
            break;
        case 1:
            use_own(worker,
                    page_of(worker, SPLIT_GROUP) * PAGE + worker->number * PART_BYTES,
                    PART_BYTES);
            break;
        default:
            use_own(worker, page_of(worker, worker->number) * PAGE, PAGE);
        }
    return NULL;
}

static void *keep_compacting(void *opaque)
{
    uint64_t turn = 0;

    (void)opaque;
    while (!atomic_load(&stop)) {
        volume_compact(volume, NULL);
        if (has_backing && ++turn % 64 == 0) {
            int r = volume_writeback(volume);

            /* Some writes fail, and a small store may be full. */
            ck_assert(r == 0 || r == -EIO || r == -ENOSPC);
        }
    }
    return NULL;
}

static int see_nothing(void *opaque, uint64_t offset, uint64_t bytes, bool hole)
{
    uint64_t *end = opaque;

    (void)hole;
    ck_assert_uint_eq(offset, *end);
    *end = offset + bytes;
    return 0;
}

static void *keep_trimming(void *opaque)
{
    struct worker *worker = opaque;
    struct stats stats;

    while (!atomic_load(&stop)) {
        uint64_t page = page_of(worker, SHARED_GROUP), end = 0;

        ck_assert_int_eq(volume_trim(volume, page * PAGE, PAGE), 0);
        if (next(worker) % 256 == 0) {
            ck_assert_int_eq(volume_extents(volume, 0, SIZE, see_nothing, &end), 0);
            ck_assert_uint_eq(end, SIZE);
            volume_stats(volume, &stats);
            if (limited)
                ck_assert_uint_le(stats.values[STAT_mem_used_total],
                                  stats.values[STAT_mem_limit]);
        }
    }
    return NULL;
}

uint64_t random_model_run(struct volume *in, unsigned long ops)
{
    struct worker workers[THREADS + 1];
    pthread_t compaction;
    uint64_t refused = 0;

    volume = in;
    ck_assert_uint_eq(volume_size_bytes(volume), SIZE);
    limited = harness_stat(volume, STAT_mem_limit) != 0;
    has_backing = volume_writeback(volume) == 0;
    model_open(&model, SIZE);
    ops_per_thread = harness_ops(ops) / THREADS + 1;
    atomic_store(&stop, false);
    memset(workers, 0, sizeof workers);
    for (unsigned i = 0; i <= THREADS; i++) {
        workers[i].number = i;
        workers[i].random = i + 100;
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL,
                                        i < THREADS ? work : keep_trimming,
                                        &workers[i]),
                         0);
    }
    ck_assert_int_eq(pthread_create(&compaction, NULL, keep_compacting, NULL), 0);

    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        refused += workers[i].refused;
    }
    atomic_store(&stop, true);
    pthread_join(workers[THREADS].thread, NULL);
    pthread_join(compaction, NULL);

    unsigned char data[PAGE];
    for (uint64_t page = 0; page < PAGES; page++)
        if (page % GROUPS == SHARED_GROUP) {
            ck_assert_int_eq(volume_read(volume, page * PAGE, PAGE, data), 0);
            check_labelled(page, data);
        } else
            model_compare(&model, volume, page * PAGE, PAGE);
    ck_assert_uint_eq(harness_stat(volume, STAT_failed_reads), 0);
    ck_assert_uint_eq(harness_stat(volume, STAT_corrupt_objects), 0);

    harness_check(volume);
    model_close(&model);
    return refused;
}

void random_model_close(struct volume *in)
{
    ck_assert_int_eq(volume_trim(in, 0, SIZE), 0);
    harness_close(in);
}
