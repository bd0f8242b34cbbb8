/* bench-core.c - what a page costs in the core, against the bare codec in the same run
 *
 * Many short rounds, each a batch through the core and the same batch through the codec, in turns
 * which comes first; a round gives one ratio, and the figure is the median of these.  Whatever
 * else the machine does mostly hits both halves of a round.  README.md says what each half
 * includes.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "args.h"
#include "bare.h"
#include "corpus.h"
#include "series.h"
#include "volume.h"

#define SOURCE_PAGES 64u /* 256 KiB: warm in the second level cache for both halves */
#define OPERATIONS_MAX 2048u
/* Rounds of writes, whose batches are short: each page comes once in a half, as a server
 * sees it, or the processor would learn its branches by heart. */
#define WRITE_ROUNDS 16u
#define WORKERS 2u

enum kind { FILL, WRITE, READ };
static const char *const kind_names[] = {"fill", "write", "read"};

/* What a page may cost beside the codec, of which a tenth more is allowed: the figures. */
static const double allowed_us[] = {[FILL] = 0.4, [WRITE] = 0.4, [READ] = 0.25};
#define ALLOWED_SHARE 1.10
#define ALLOWED_SCALING 1.8

/* One object of the baseline's own copy of the volume. */
struct object {
    uint64_t offset;
    uint32_t length;
};

struct trial {
    const struct corpus *corpus;
    struct volume *volume;
    struct codec_choice choice;
    uint32_t slots;
    uint32_t filled;
    struct object *objects;
    char *
        arena; /* the objects, one after the other, in the same kind of memory as a pool's */
};

struct worker {
    pthread_t thread;
    unsigned number;
    struct trial *trial;
    struct bare bare;
    uint64_t random;
    unsigned char *source; /* SOURCE_PAGES pages */
    unsigned char *out;    /* a page */
    uint32_t slots[OPERATIONS_MAX];
    double us; /* of the last batch */
};

static uint64_t volume_bytes = UINT64_C(256) << 20;

/* -- Batches. -- */

/* Untimed: which slots, and for writes which pages, now warm. */
static void prepare(struct worker *worker, enum kind kind, unsigned operations)
{
    struct trial *trial = worker->trial;

    for (unsigned i = 0; i < operations; i++)
        worker->slots[i] =
            kind == FILL ? trial->filled++
                         : (uint32_t)(corpus_random(&worker->random) % trial->slots);
    for (unsigned i = 0; kind != READ && i < SOURCE_PAGES; i++) {
        uint32_t version = kind == FILL ? 0 : (uint32_t)worker->random | 1;

        corpus_page(trial->corpus, worker->slots[i], version,
                    worker->source + i * PAGE_BYTES);
    }
}

static void core_batch(struct worker *worker, enum kind kind, unsigned operations)
{
    struct volume *volume = worker->trial->volume;
    int r = 0;
    double start = series_now_us();

    for (unsigned i = 0; i < operations; i++) {
        uint64_t offset = (uint64_t)worker->slots[i] * PAGE_BYTES;

        if (kind == READ)
            r |= volume_read(volume, offset, PAGE_BYTES, worker->out);
        else
            r |= volume_write(volume, offset, PAGE_BYTES,
                              worker->source + i % SOURCE_PAGES * PAGE_BYTES);
    }
    worker->us = series_now_us() - start;
    if (r < 0)
        args_die("the volume failed: %s", strerror(-r));
}

static void bare_batch(struct worker *worker, enum kind kind, unsigned operations)
{
    const struct trial *trial = worker->trial;
    int r = 0;
    double start = series_now_us();

    for (unsigned i = 0; i < operations; i++)
        if (kind == READ) {
            const struct object *object = &trial->objects[worker->slots[i]];

            r |= bare_decompress(&worker->bare, trial->arena + object->offset,
                                 object->length, worker->out);
        } else
            bare_compress(&worker->bare,
                          worker->source + i % SOURCE_PAGES * PAGE_BYTES);
    worker->us = series_now_us() - start;
    if (r < 0)
        args_die("the codec failed: %s", strerror(-r));
}

/* Brings the baseline's list of objects in, as the loop's own list of slots is. */
static void warm_list(struct worker *worker, unsigned operations)
{
    volatile uint32_t sum = 0;

    for (unsigned i = 0; i < operations; i++)
        sum += worker->trial->objects[worker->slots[i]].length;
}

/* -- A volume and the baseline's copy of it. -- */

static void trial_open(struct trial *trial, const struct corpus *corpus,
                       const char *compressor)
{
    char size[32];

    snprintf(size, sizeof size, "%llu", (unsigned long long)volume_bytes);
    *trial = (struct trial){.corpus = corpus,
                            .slots = (uint32_t)(volume_bytes / PAGE_BYTES)};
    trial->volume = args_open_volume(size, compressor, &trial->choice);
}

static void trial_close(struct trial *trial)
{
    volume_close(trial->volume);
    free(trial->objects);
    if (trial->arena)
        munmap(trial->arena, (size_t)trial->slots * PAGE_BYTES);
}

/* Fills and frees as much as will be measured.  In a virtual machine the first touch of a physical
 * page can cost more than the codec, and is the host's affair. */
static void touch_memory(uint64_t bytes)
{
    char *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE, -1, 0);

    if (memory != MAP_FAILED)
        munmap(memory, bytes);
}

/* The pages of the volume as it was filled, compressed by the bare codec. */
static void trial_copy(struct trial *trial, struct bare *bare)
{
    unsigned char page[PAGE_BYTES];
    uint64_t end = 0;

    trial->objects = calloc(trial->slots, sizeof *trial->objects);
    trial->arena = mmap(NULL, (size_t)trial->slots * PAGE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!trial->objects || trial->arena == MAP_FAILED)
        args_die("no memory for the baseline's objects");
    for (uint32_t slot = 0; slot < trial->slots; slot++) {
        corpus_page(trial->corpus, slot, 0, page);
        uint32_t length = bare_compress(bare, page);

        memcpy(trial->arena + end, length ? bare->object : page,
               length ? length : PAGE_BYTES);
        trial->objects[slot] = (struct object){end, length ? length : PAGE_BYTES};
        end += trial->objects[slot].length;
    }
}

static void worker_open(struct worker *worker, unsigned number, struct trial *trial)
{
    *worker = (struct worker){.number = number, .trial = trial, .random = number + 1};
    worker->source = aligned_alloc(PAGE_BYTES, SOURCE_PAGES * PAGE_BYTES);
    worker->out = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
    if (!worker->source || !worker->out || bare_open(&worker->bare, trial->choice) < 0)
        args_die("no memory for a worker");
    memset(worker->source, 1, SOURCE_PAGES * PAGE_BYTES);
    memset(worker->out, 1, PAGE_BYTES);
}

static void worker_close(struct worker *worker)
{
    bare_close(&worker->bare);
    free(worker->source);
    free(worker->out);
}

/* -- One thread. -- */

static void measure_one(struct worker *worker, enum kind kind, unsigned rounds,
                        const char *compressor)
{
    static struct series core, bare, share, over;
    unsigned n = kind == READ ? 16 * SOURCE_PAGES : SOURCE_PAGES;

    core.count = bare.count = share.count = over.count = 0;
    for (unsigned round = 0; round < rounds; round++) {
        double us[2] = {0, 0};

        prepare(worker, kind, n);
        for (unsigned half = 0; half < 2; half++) {
            bool is_core = (round + half) % 2;

            if (kind == READ)
                warm_list(worker, n);
            (is_core ? core_batch : bare_batch)(worker, kind, n);
            us[is_core] = worker->us / n;
        }
        series_add(&bare, us[0]);
        series_add(&core, us[1]);
        series_add(&share, us[1] / (us[0] * ALLOWED_SHARE + allowed_us[kind]));
        series_add(&over, us[1] - us[0] * ALLOWED_SHARE);
    }
    double figure = series_median(&share);
    printf("| %s | %s | %.2f | %.2f | %+.2f | %.2f | **%.3f** (%.3f, %.3f) | %s |\n",
           compressor, kind_names[kind], series_median(&bare), series_median(&core),
           series_median(&over), allowed_us[kind], figure,
           series_quantile(&share, 0.25), series_quantile(&share, 0.75),
           figure <= 1 ? "reached" : "MISSED");
    fflush(stdout);
}

static void table_one(const struct corpus *corpus, const char *const *compressors,
                      unsigned rounds)
{
    printf("| codec | page | codec alone, µs | core, µs | core - 1.10 × codec, µs | "
           "allowed | "
           "core / (1.10 × codec + allowed): median (quartiles) | at most 1 |\n"
           "|---|---|---|---|---|---|---|---|\n");
    for (; *compressors; compressors++) {
        static struct worker worker;
        struct trial trial;

        touch_memory(volume_bytes * 2);
        trial_open(&trial, corpus, *compressors);
        worker_open(&worker, 0, &trial);
        measure_one(&worker, FILL, trial.slots / SOURCE_PAGES, *compressors);
        trial_copy(&trial, &worker.bare);
        measure_one(&worker, READ, rounds, *compressors);
        measure_one(&worker, WRITE, rounds * WRITE_ROUNDS, *compressors);
        worker_close(&worker);
        trial_close(&trial);
    }
    printf("\n");
}

/* -- Two threads. -- */

/* What the workers do next; changed between the two barriers only. */
static struct {
    pthread_barrier_t start, end;
    enum kind kind;
    bool is_core, stop;
    unsigned workers; /* a bit each */
    unsigned operations;
    _Atomic unsigned arrived;
} step;

static void *work(void *opaque)
{
    struct worker *worker = opaque;
    cpu_set_t cpus;

    /* Each on a processor of its own, as long as there are enough. */
    CPU_ZERO(&cpus);
    CPU_SET(worker->number, &cpus);
    pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
    for (;;) {
        pthread_barrier_wait(&step.start);
        if (step.stop)
            return NULL;
        if (step.workers & 1u << worker->number) {
            prepare(worker, step.kind, step.operations);
            if (step.kind == READ)
                warm_list(worker, step.operations);
            /* A barrier wakes one after the other; this starts them together. */
            atomic_fetch_add(&step.arrived, 1);
            while (atomic_load(&step.arrived) <
                   (unsigned)__builtin_popcount(step.workers))
                ;
            (step.is_core ? core_batch : bare_batch)(worker, step.kind,
                                                     step.operations);
        }
        pthread_barrier_wait(&step.end);
    }
}

/* Pages per microsecond of all workers in the mask. */
static double run_step(struct worker *workers, bool is_core, unsigned mask)
{
    double rate = 0;

    step.is_core = is_core;
    step.workers = mask;
    atomic_store(&step.arrived, 0);
    pthread_barrier_wait(&step.start);
    pthread_barrier_wait(&step.end);
    for (unsigned i = 0; i < WORKERS; i++)
        if (mask & 1u << i)
            rate += step.operations / workers[i].us;
    return rate;
}

static double scaling(struct worker *workers, bool is_core)
{
    double first = run_step(workers, is_core, 1), both = run_step(workers, is_core, 3);

    return both / ((first + run_step(workers, is_core, 2)) / 2);
}

static void measure_two(struct worker *workers, enum kind kind, unsigned rounds,
                        const char *compressor)
{
    static struct series core, bare;

    step.kind = kind;
    step.operations = kind == READ ? OPERATIONS_MAX : OPERATIONS_MAX / 4;
    core.count = bare.count = 0;
    for (unsigned round = 0; round < rounds; round++) {
        series_add(&bare, scaling(workers, false));
        series_add(&core, scaling(workers, true));
    }
    double figure = series_median(&core);
    printf("| %s | %s | %.2f | **%.2f** (%.2f, %.2f) | %s |\n", compressor,
           kind_names[kind], series_median(&bare), figure, series_quantile(&core, 0.25),
           series_quantile(&core, 0.75),
           figure >= ALLOWED_SCALING ? "reached" : "MISSED");
    fflush(stdout);
}

static void table_two(const struct corpus *corpus, const char *const *compressors,
                      unsigned rounds)
{
    printf("| codec | page | two threads / one, codec alone | two threads / one, core: "
           "median "
           "(quartiles) | at least %.1f |\n|---|---|---|---|---|\n",
           ALLOWED_SCALING);
    pthread_barrier_init(&step.start, NULL, WORKERS + 1);
    pthread_barrier_init(&step.end, NULL, WORKERS + 1);
    for (; *compressors; compressors++) {
        static struct worker workers[WORKERS];
        struct trial trial;

        trial_open(&trial, corpus, *compressors);
        for (unsigned i = 0; i < WORKERS; i++)
            worker_open(&workers[i], i, &trial);
        while (trial.filled + SOURCE_PAGES <= trial.slots) {
            prepare(&workers[0], FILL, SOURCE_PAGES);
            core_batch(&workers[0], FILL, SOURCE_PAGES);
        }
        trial_copy(&trial, &workers[0].bare);
        step.stop = false;
        for (unsigned i = 0; i < WORKERS; i++)
            if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
                args_die("cannot start a thread");
        measure_two(workers, READ, rounds, *compressors);
        measure_two(workers, WRITE, rounds, *compressors);
        step.stop = true;
        pthread_barrier_wait(&step.start);
        for (unsigned i = 0; i < WORKERS; i++) {
            pthread_join(workers[i].thread, NULL);
            worker_close(&workers[i]);
        }
        trial_close(&trial);
    }
    printf("\n");
}

/* -- One kind for a while, for a profiler. -- */

static void loop(const struct corpus *corpus, enum kind kind, bool is_core,
                 const char *compressor, double seconds)
{
    static struct worker worker;
    struct trial trial;
    uint64_t done = 0;
    double us = 0, end;

    if (kind == FILL) { /* as long as it takes: a fill cannot come round */
        volume_bytes = UINT64_C(4) << 30;
        touch_memory(volume_bytes);
    }
    trial_open(&trial, corpus, compressor);
    worker_open(&worker, 0, &trial);
    while (kind != FILL && trial.filled + SOURCE_PAGES <= trial.slots) {
        prepare(&worker, FILL, SOURCE_PAGES);
        core_batch(&worker, FILL, SOURCE_PAGES);
    }
    if (!is_core)
        trial_copy(&trial, &worker.bare);

    prctl(PR_SET_NAME, "loop"); /* what a profiler should look at begins here */
    for (end = series_now_us() + seconds * 1e6; series_now_us() < end;) {
        unsigned n = kind == READ ? OPERATIONS_MAX : SOURCE_PAGES;

        if (kind == FILL && trial.filled + n > trial.slots)
            break;
        prepare(&worker, kind, n);
        (is_core ? core_batch : bare_batch)(&worker, kind, n);
        us += worker.us;
        done += n;
    }
    prctl(PR_SET_NAME, "bench-core");
    printf("%s%s %s %.3f\n", is_core ? "" : "bare-", kind_names[kind], compressor,
           us / (double)done);
    worker_close(&worker);
    trial_close(&trial);
}

static void usage(void)
{
    args_die("usage: bench-core [--rounds=N] [--size=BYTES] [--codecs=NAME,NAME...] "
             "[--loop=fill|[bare-]write|[bare-]read --seconds=N] CORPUS");
}

int main(int argc, char **argv)
{
    static char some[] = "lz4,zstd:-1,zstd:1";
    const char *codec_list[16] = {NULL}, *path = NULL, *looping = NULL;
    char *names = some;
    unsigned rounds = 120;
    double seconds = 3;
    struct corpus corpus;

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--rounds=", 9) == 0)
            rounds = (unsigned)strtoul(argv[i] + 9, NULL, 10);
        else if (strncmp(argv[i], "--size=", 7) == 0)
            volume_bytes = strtoull(argv[i] + 7, NULL, 10) / PAGE_BYTES * PAGE_BYTES;
        else if (strncmp(argv[i], "--codecs=", 9) == 0)
            names = argv[i] + 9;
        else if (strncmp(argv[i], "--loop=", 7) == 0)
            looping = argv[i] + 7;
        else if (strncmp(argv[i], "--seconds=", 10) == 0)
            seconds = strtod(argv[i] + 10, NULL);
        else if (argv[i][0] == '-' || path)
            usage();
        else
            path = argv[i];
    }
    if (!path || rounds < 10 || rounds > SERIES_MAX / WRITE_ROUNDS ||
        volume_bytes < 1 << 20 ||
        volume_bytes > (uint64_t)SERIES_MAX * SOURCE_PAGES * PAGE_BYTES)
        usage();
    args_load_corpus(path, &corpus);
    corpus_drop_same_filled(&corpus);
    unsigned count = 0;
    for (char *at; count < 15 && (at = strsep(&names, ",")); count++)
        codec_list[count] = at;

    if (looping) {
        bool is_core = strncmp(looping, "bare-", 5) != 0;
        enum kind kind = FILL;

        looping += is_core ? 0 : 5;
        while (kind < READ && strcmp(looping, kind_names[kind]) != 0)
            kind++;
        if (strcmp(looping, kind_names[kind]) != 0)
            usage();
        loop(&corpus, kind, is_core, codec_list[0], seconds);
    } else {
        table_one(&corpus, codec_list, rounds);
        table_two(&corpus, codec_list, rounds / 2);
    }
    corpus_unload(&corpus);
    return 0;
}
