/* bench-writeback.c - what writeback writes, and how fast pages leave
 *
 * Three tables: bytes written for each that is evicted while a volume is filled, the same while a
 * store that is nearly full is overwritten, and the rate of an eviction against that of a copy.
 * README.md says how each is measured.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "args.h"
#include "backed.h"
#include "bare.h"
#include "series.h"

#define SLOTS 65536u /* 256 MiB of pages */
#define THREADS 2u
#define WARM_UPS 5u /* overwrites of each slot, on average, before anything counts */
#define MEASURED 3u
#define COPY_BYTES (256u << 10) /* as large as a segment */

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

struct object {
    uint64_t offset;
    uint32_t length;
};

/* The objects of a volume once more, for one thread to copy. */
struct copies {
    struct object *objects; /* in a random order */
    char *arena; /* one behind the other, in the same kind of memory as a pool's */
    uint64_t bytes;
    char *buffer;
    int fd; /* a file of the same kind as the backing store */
};

static void copies_open(struct copies *copies, const struct backed *backed)
{
    unsigned char page[PAGE_BYTES];
    struct bare bare;
    uint64_t random = 1;
    uint32_t *order = calloc(SLOTS, sizeof *order);

    copies->bytes = 0;
    copies->fd = backed_make_file();
    copies->objects = calloc(SLOTS, sizeof *copies->objects);
    copies->arena = mmap(NULL, (size_t)SLOTS * PAGE_BYTES, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    copies->buffer = aligned_alloc(PAGE_BYTES, COPY_BYTES);
    if (!order || !copies->objects || !copies->buffer || copies->arena == MAP_FAILED ||
        bare_open(&bare, backed->choice) < 0)
        args_die("no memory for the baseline's objects");
    memset(copies->buffer, 1, COPY_BYTES);
    corpus_shuffle(order, SLOTS, &random);
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        corpus_page(backed->corpus, slot, backed->versions[slot], page);
        uint32_t length = bare_compress(&bare, page);

        memcpy(copies->arena + copies->bytes, length ? bare.object : page,
               length ? length : PAGE_BYTES);
        length = length ? length : PAGE_BYTES;
        copies->objects[order[slot]] = (struct object){copies->bytes, length};
        copies->bytes += length;
    }
    bare_close(&bare);
    free(order);
}

static void copies_close(struct copies *copies)
{
    munmap(copies->arena, (size_t)SLOTS * PAGE_BYTES);
    free(copies->objects);
    free(copies->buffer);
    close(copies->fd);
}

/* MiB a second.  With a file, each bufferful is also written to it. */
static double copy_all(struct copies *copies, int fd)
{
    uint32_t at = 0;
    off_t offset = 0;
    double start = series_now_us();

    for (uint32_t i = 0; i < SLOTS; i++) {
        const struct object *object = &copies->objects[i];

        if (at + object->length > COPY_BYTES) {
            if (fd >= 0 && pwrite(fd, copies->buffer, COPY_BYTES, offset) < 0)
                args_die("a write to a file failed: %s", strerror(errno));
            offset += COPY_BYTES;
            at = 0;
        }
        memcpy(copies->buffer + at, copies->arena + object->offset, object->length);
        at += object->length;
    }
    /* So that the compiler believes in the copies. */
    __asm__ volatile("" ::"r"(copies->buffer) : "memory");
    return (double)copies->bytes / BACKED_MIB / (series_now_us() - start) * 1e6;
}

/* The same of what leaves RAM. */
static double evict_all(struct backed *backed)
{
    uint64_t before = backed_stat(backed, STAT_compr_data_size);
    double start = series_now_us();
    int r = volume_writeback(backed->volume);
    double us = series_now_us() - start;

    if (r < 0 || backed_stat(backed, STAT_bd_count) != SLOTS)
        args_die("not all pages left: %s", strerror(-r));
    return (double)(before - backed_stat(backed, STAT_compr_data_size)) / BACKED_MIB /
           us * 1e6;
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

static void table_evict_row(const struct corpus *corpus, const char *compressor,
                            unsigned rounds)
{
    static struct series evictions, copying, writing, ratios;
    static uint32_t order[SLOTS];
    const struct backed_wish wish = {
        .corpus = corpus,
        .compressor = compressor,
        .slots = SLOTS,
        .memory_bytes = 4ull * SLOTS * PAGE_BYTES, /* so that nothing leaves unasked */
        .backing_bytes = 4ull * SLOTS * PAGE_BYTES,
    };
    struct backed backed;
    struct copies copies;

    evictions.count = copying.count = writing.count = ratios.count = 0;
    backed_open(&backed, &wish);
    rewrite(&backed, 1, order);
    copies_open(&copies, &backed);
    evict_all(&backed);
    for (unsigned round = 0; round < rounds; round++) {
        rewrite(&backed, round + 2, order);
        double copied = copy_all(&copies, -1), evicted = evict_all(&backed);

        if (ftruncate(copies.fd, 0) < 0)
            args_die("cannot empty a file: %s", strerror(errno));
        series_add(&writing, copy_all(&copies, copies.fd));
        series_add(&copying, copied);
        series_add(&evictions, evicted);
        series_add(&ratios, evicted / copied);
    }
    double figure = series_median(&ratios);
    printf("| %s | %.0f | %.0f | %.0f | %.2f | **%.2f** (%.2f, %.2f) | %.1f | %s |\n",
           compressor, series_median(&copying), series_median(&writing),
           series_median(&evictions),
           (double)copies.bytes / SLOTS / BACKED_MIB / series_median(&evictions) * 1e6,
           figure, series_quantile(&ratios, 0.25), series_quantile(&ratios, 0.75),
           ALLOWED_COPY, verdict(figure >= ALLOWED_COPY));
    fflush(stdout);
    copies_close(&copies);
    backed_close(&backed);
}

static void table_evict(const struct corpus *corpus, unsigned rounds)
{
    printf("| codec | copy, MiB/s | copy and pwrite(), MiB/s | "
           "eviction, MiB/s | µs an object | "
           "eviction / copy: median (quartiles) | at least | |\n"
           "|---|---|---|---|---|---|---|---|\n");
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
