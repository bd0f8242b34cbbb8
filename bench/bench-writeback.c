/* bench-writeback.c - what writeback writes, and how fast pages leave
 *
 * Three tables: bytes written for each that is evicted while a volume is filled, the same while a
 * store that is nearly full is overwritten, and the rate of an eviction against that of a copy.
 * README.md says how each is measured.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "backed.h"
#include "copies.h"
#include "series.h"

#define SLOTS 65536u /* 256 MiB of pages */
#define THREADS 2u
#define WARM_UPS 5u /* overwrites of each slot, on average, before anything counts */
#define MEASURED 3u

/* The figures. */
#define ALLOWED_FILL 1.08
#define ALLOWED_OVERWRITE 2.0
#define ALLOWED_COPY 0.6
#define FULL 0.80 /* for the second */

static double ratio(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : 0;
}

static const char *verdict(bool reached)
{
    return reached ? "reached" : "MISSED";
}

/* -- Nothing is overwritten. -- */

/* Also what the next table needs: what stays in RAM under such a limit, and all. */
struct filled {
    uint64_t memory_bytes, resident_bytes, object_bytes;
};

static struct filled table_fill_row(const struct corpus *corpus, const char *compressor,
                                    uint64_t object_bytes)
{
    struct filled filled = {.memory_bytes =
                                backed_memory_bytes(SLOTS, object_bytes / 10)};
    const struct backed_wish wish = {
        .corpus = corpus,
        .compressor = compressor,
        .slots = SLOTS,
        .memory_bytes = filled.memory_bytes,
        .backing_bytes = 2ull * SLOTS * PAGE_BYTES,
    };
    struct backed backed;

    backed_open(&backed, &wish);
    backed_fill(&backed, 0);
    backed_settle(&backed);
    filled.object_bytes = backed_object_bytes(&backed);
    filled.resident_bytes = backed_stat(&backed, STAT_compr_data_size);
    uint64_t evicted = backed_stat(&backed, STAT_bd_evicted_size);
    double figure = ratio(backed_stat(&backed, STAT_bd_written_size), evicted);
    printf("| %s | %.1f | %.1f | %.1f | %.1f | **%.3f** | %.2f | %s |\n", compressor,
           (double)filled.object_bytes / BACKED_MIB,
           (double)filled.memory_bytes / BACKED_MIB,
           (double)filled.resident_bytes / BACKED_MIB, (double)evicted / BACKED_MIB,
           figure, ALLOWED_FILL, verdict(evicted > 0 && figure <= ALLOWED_FILL));
    fflush(stdout);
    backed_close(&backed);
    return filled;
}

/* The objects' bytes of a volume filled once, to choose memory-limit by. */
static uint64_t measure_objects(const struct corpus *corpus, const char *compressor)
{
    const struct backed_wish wish = {
        .corpus = corpus, .compressor = compressor, .slots = SLOTS};
    struct backed backed;

    backed_open(&backed, &wish);
    uint64_t bytes = backed_object_bytes(&backed); /* which writes nothing */
    backed_close(&backed);
    return bytes;
}

static struct filled table_fill(const struct corpus *corpus)
{
    static const char *const compressors[] = {"lz4", "zstd:1"};
    struct filled filled = {0};

    printf("| codec | objects, MiB | memory-limit, MiB | objects left in RAM, MiB | "
           "evicted, MiB | written / evicted | at most | |\n"
           "|---|---|---|---|---|---|---|---|\n");
    for (unsigned i = 0; i < 2; i++)
        filled = table_fill_row(corpus, compressors[i],
                                measure_objects(corpus, compressors[i]));
    printf("\n");
    return filled; /* of the default codec */
}

/* -- Random overwrites of a store that is nearly full. -- */

struct overwriter {
    pthread_t thread;
    struct backed *backed;
    unsigned number;
    uint64_t random;
    uint64_t writes;
    uint64_t failed;
};

/* Each thread has slots of its own, any of them at any time. */
static void *overwrite_some(void *opaque)
{
    struct overwriter *overwriter = opaque;
    struct backed *backed = overwriter->backed;

    for (uint64_t i = 0; i < overwriter->writes; i++) {
        uint32_t among =
            (uint32_t)(corpus_random(&overwriter->random) % (backed->slots / THREADS));
        uint32_t slot = among * THREADS + overwriter->number;

        overwriter->failed +=
            backed_write(backed, slot, backed->versions[slot] + 1) < 0;
    }
    return NULL;
}

/* How many writes failed. */
static uint64_t overwrite(struct backed *backed, unsigned times, uint64_t seed)
{
    struct overwriter overwriters[THREADS];
    uint64_t failed = 0;

    for (unsigned i = 0; i < THREADS; i++) {
        overwriters[i] = (struct overwriter){
            .backed = backed,
            .number = i,
            .random = seed * THREADS + i,
            .writes = (uint64_t)times * backed->slots / THREADS,
        };
        if (pthread_create(&overwriters[i].thread, NULL, overwrite_some,
                           &overwriters[i]) != 0)
            args_die("cannot start a thread");
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(overwriters[i].thread, NULL);
        failed += overwriters[i].failed;
    }
    return failed;
}

static void table_overwrite_row(const struct corpus *corpus,
                                const struct filled *filled, double full)
{
    uint64_t stored = filled->object_bytes - filled->resident_bytes;
    const struct backed_wish wish = {
        .corpus = corpus,
        .compressor = "zstd:1",
        .slots = SLOTS,
        .memory_bytes = filled->memory_bytes,
        .backing_bytes = (uint64_t)((double)stored / full),
    };
    struct backed backed;
    struct stats before, after;

    backed_open(&backed, &wish);
    backed_fill(&backed, 0);
    uint64_t failed = overwrite(&backed, WARM_UPS, 1);
    volume_stats(backed.volume, &before);
    failed += overwrite(&backed, MEASURED, 2);
    volume_stats(backed.volume, &after);
    backed_settle(&backed);

    uint64_t live = backed_stat(&backed, STAT_bd_live_size);
    stored = backed_object_bytes(&backed) - backed_stat(&backed, STAT_compr_data_size);
    for (unsigned i = 0; i < STAT_COUNT; i++)
        after.values[i] -= before.values[i];
    const uint64_t *grown = after.values;
    double figure = ratio(grown[STAT_bd_written_size], grown[STAT_bd_evicted_size]);
    bool counts = full == FULL;
    bool reached = figure <= ALLOWED_OVERWRITE && failed == 0;
    printf("| %.0f %% | %.1f | %.1f %% | %.1f %% | %.2f | %.1f %% | %llu | **%.3f** | ",
           100 * full, (double)wish.backing_bytes / BACKED_MIB,
           100 * ratio(stored, wish.backing_bytes),
           100 * ratio(live, wish.backing_bytes),
           ratio(grown[STAT_bd_writes], (uint64_t)MEASURED * SLOTS),
           100 * ratio(grown[STAT_writers_waited], (uint64_t)MEASURED * SLOTS),
           (unsigned long long)failed, figure);
    if (counts)
        printf("%.1f | %s |\n", ALLOWED_OVERWRITE, verdict(reached));
    else
        printf("| |\n");
    fflush(stdout);
    backed_close(&backed);
}

static void table_overwrite(const struct corpus *corpus, const struct filled *filled)
{
    static const double fullnesses[] = {0.70, FULL, 0.90};

    printf("| wanted fullness | backing-size, MiB | objects on it / backing-size | "
           "bd_live_size / backing-size | pages evicted a write | writes that waited | "
           "writes that failed | written / evicted | at most | |\n"
           "|---|---|---|---|---|---|---|---|---|---|\n");
    for (unsigned i = 0; i < sizeof fullnesses / sizeof fullnesses[0]; i++)
        table_overwrite_row(corpus, filled, fullnesses[i]);
    printf("\n");
}

/* -- Eviction against a copy. -- */

/* How long it takes until all pages have left, in microseconds. */
static double evict_us(struct backed *backed)
{
    double start = series_now_us();
    int r = volume_writeback(backed->volume);
    double us = series_now_us() - start;

    if (r < 0 || backed_stat(backed, STAT_bd_count) != SLOTS)
        args_die("not all pages left: %s", strerror(-r));
    return us;
}

/* Brings all pages back to RAM, in a random order, as objects come to lie in a pool. */
static void rewrite(struct backed *backed, uint32_t version, uint32_t *order)
{
    uint64_t random = version;

    corpus_shuffle(order, SLOTS, &random);
    for (uint32_t i = 0; i < SLOTS; i++) {
        int r = backed_write(backed, order[i], version);

        if (r < 0)
            args_die("a write failed: %s", strerror(-r));
    }
    backed_settle(backed);
}

/* Microseconds for all objects. */
struct evictions {
    struct series copy, write, give_back, copy_and_write, evict;
    struct series ratio,
        bound; /* to the copy: the eviction's rate, and the kernel's part's */
};

static void measure_evictions(struct backed *backed, unsigned rounds,
                              struct evictions *all, uint64_t *bytes)
{
    static uint32_t order[SLOTS];
    struct copies copies;

    rewrite(backed, 1, order);
    copies_open(&copies, backed);
    evict_us(backed);
    for (unsigned round = 0; round < rounds; round++) {
        rewrite(backed, round + 2, order);
        double copy = copies_copy_us(&copies), evict = evict_us(backed);
        double write = copies_write_us(&copies);
        double give_back = copies_give_back_us(&copies);

        series_add(&all->copy, copy);
        series_add(&all->evict, evict);
        series_add(&all->write, write);
        series_add(&all->give_back, give_back);
        series_add(&all->copy_and_write, copies_copy_and_write_us(&copies));
        series_add(&all->ratio, copy / evict);
        series_add(&all->bound, copy / ((write + give_back) / THREADS));
    }
    *bytes = copies.bytes;
    copies_close(&copies);
}

static double us_an_object(struct series *series)
{
    return series_median(series) / SLOTS;
}

static void table_evict_row(const struct corpus *corpus, const char *compressor,
                            unsigned rounds)
{
    static struct evictions all;
    const struct backed_wish wish = {
        .corpus = corpus,
        .compressor = compressor,
        .slots = SLOTS,
        .memory_bytes = 4ull * SLOTS * PAGE_BYTES, /* so that nothing leaves unasked */
        .backing_bytes = 4ull * SLOTS * PAGE_BYTES,
    };
    struct backed backed;
    uint64_t bytes;

    memset(&all, 0, sizeof all);
    backed_open(&backed, &wish);
    measure_evictions(&backed, rounds, &all, &bytes);
    backed_close(&backed);

    double figure = series_median(&all.ratio);
    printf("| %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.0f | **%.2f** (%.2f, %.2f) | "
           "%.1f | "
           "%s | %.2f (%.2f, %.2f) |\n",
           compressor, us_an_object(&all.copy), us_an_object(&all.write),
           us_an_object(&all.give_back), us_an_object(&all.copy_and_write),
           us_an_object(&all.evict),
           (double)bytes / BACKED_MIB / series_median(&all.evict) * 1e6, figure,
           series_quantile(&all.ratio, 0.25), series_quantile(&all.ratio, 0.75),
           ALLOWED_COPY, verdict(figure >= ALLOWED_COPY), series_median(&all.bound),
           series_quantile(&all.bound, 0.25), series_quantile(&all.bound, 0.75));
    fflush(stdout);
}

static void table_evict(const struct corpus *corpus, unsigned rounds)
{
    printf("| codec | µs an object: copy | pwrite() | RAM given back | copy and "
           "pwrite() | "
           "eviction | eviction, MiB/s | eviction / copy: median (quartiles) | at "
           "least | | "
           "the kernel's part alone, on %u processors / copy |\n"
           "|---|---|---|---|---|---|---|---|---|---|---|\n",
           THREADS);
    table_evict_row(corpus, "lz4", rounds);
    table_evict_row(corpus, "zstd:1", rounds);
    printf("\n");
}

int main(int argc, char **argv)
{
    struct corpus corpus;
    struct filled filled;
    const char *path = NULL;
    unsigned rounds = 9, loops = 0;

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--rounds=", 9) == 0)
            rounds = (unsigned)strtoul(argv[i] + 9, NULL, 10);
        else if (strncmp(argv[i], "--loop=", 7) == 0)
            loops = (unsigned)strtoul(argv[i] + 7, NULL, 10);
        else if (argv[i][0] == '-' || path)
            path = "-";
        else
            path = argv[i];
    }
    if (!path || path[0] == '-' || rounds == 0 || rounds > SERIES_MAX ||
        loops > SERIES_MAX)
        args_die("usage: bench-writeback [--rounds=N] [--loop=N] CORPUS");
    args_load_corpus(path, &corpus);
    corpus_drop_same_filled(&corpus); /* they never leave */

    if (loops > 0)
        table_evict_row(&corpus, "zstd:1", loops); /* for a profiler */
    else {
        printf("Backing store: a file on %s. %.0f MiB of pages.\n\n",
               backed_file_system(), SLOTS * (double)PAGE_BYTES / BACKED_MIB);
        filled = table_fill(&corpus);
        table_overwrite(&corpus, &filled);
        table_evict(&corpus, rounds);
    }
    corpus_unload(&corpus);
    return 0;
}
