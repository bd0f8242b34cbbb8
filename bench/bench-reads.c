/* bench-reads.c - how long a read takes while others write pages back, and how long a fetch
 *
 * A reader reads warm pages from RAM in three kinds of phases, in turns: at rest; while new pages
 * push older ones out to the backing store; and while the same new pages are written to a volume
 * that has none.  README.md says why.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "backed.h"
#include "series.h"

/* 8 MiB of pages, so few that a reader comes back to each before it has grown old. */
#define WARM_SLOTS 2048u
#define NEW_SLOTS 131072u
#define SLOTS (WARM_SLOTS + NEW_SLOTS)
#define NEW_RESIDENT_BYTES (UINT64_C(48) << 20)
#define PACED_BYTES_PER_S (UINT64_C(200) << 20)
/* Pages between two looks at the clock.  Each pause ends by taking a processor from somebody: were it
 * one for every hundred reads, that would be their p99. */
#define BATCH 256u
#define SAMPLES_MAX (UINT32_C(1) << 20)

#define FETCH_SLOTS 65536u
#define FETCH_THREADS 4u

/* The figure. */
#define ALLOWED_P99 2.0

/* -- A writer of new pages. -- */

struct writer {
    pthread_t thread;
    struct backed *backed;
    uint32_t version, next; /* of the slots behind the warm ones, one after the other */
    bool incompressible;    /* pages: numbers, instead of the corpus' */
    double pages_per_s;     /* 0: as fast as they go */
    _Atomic bool stop;
    uint64_t written, failed;
    double us;
};

static int write_numbers(struct writer *writer, uint32_t slot)
{
    uint64_t page[PAGE_BYTES / 8];
    uint64_t random = (uint64_t)writer->version << 32 | slot;

    for (unsigned i = 0; i < PAGE_BYTES / 8; i++)
        page[i] = corpus_random(&random);
    return volume_write(writer->backed->volume, (uint64_t)slot * PAGE_BYTES, PAGE_BYTES,
                        page);
}

static void write_batch(struct writer *writer)
{
    for (unsigned i = 0; i < BATCH; i++) {
        uint32_t slot = WARM_SLOTS + writer->next;
        int r = writer->incompressible
                    ? write_numbers(writer, slot)
                    : backed_write(writer->backed, slot, writer->version);

        writer->failed += r < 0;
        writer->written++;
        writer->next = (writer->next + 1) % NEW_SLOTS;
        writer->version += writer->next == 0;
    }
}

static void *keep_writing(void *opaque)
{
    struct writer *writer = opaque;
    double start = series_now_us();

    writer->written = 0;
    while (!writer->stop) {
        write_batch(writer);
        if (writer->pages_per_s == 0)
            continue;
        double ahead_us = start + (double)writer->written / writer->pages_per_s * 1e6 -
                          series_now_us();
        struct timespec pause = {.tv_nsec = (long)(ahead_us * 1000)};

        if (ahead_us > 0 && ahead_us < 1e6)
            nanosleep(&pause, NULL);
    }
    writer->us = series_now_us() - start;
    return NULL;
}

static void writer_start(struct writer *writer)
{
    writer->stop = false;
    if (pthread_create(&writer->thread, NULL, keep_writing, writer) != 0)
        args_die("cannot start a thread");
}

static void writer_stop(struct writer *writer)
{
    writer->stop = true;
    pthread_join(writer->thread, NULL);
}

/* -- A reader. -- */

struct sample {
    double median_us, p99_us, p999_us;
    double reads_per_s;
    uint64_t reads, fetched; /* which were not from RAM */
};

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static void summarize(float *us, uint32_t count, struct sample *sample)
{
    qsort(us, count, sizeof *us, compare);
    sample->median_us = us[count / 2];
    sample->p99_us = us[(uint64_t)count * 99 / 100];
    sample->p999_us = us[(uint64_t)count * 999 / 1000];
}

static struct sample read_warm(struct backed *backed, uint64_t *random, double seconds)
{
    static float us[SAMPLES_MAX];
    static unsigned char page[PAGE_BYTES];
    struct sample sample = {.fetched = backed_stat(backed, STAT_bd_reads)};
    uint32_t count = 0;
    double start = series_now_us(), now = start;

    while (now < start + seconds * 1e6 && count < SAMPLES_MAX) {
        uint64_t offset = corpus_random(random) % WARM_SLOTS * PAGE_BYTES;
        double begun = series_now_us();
        int r = volume_read(backed->volume, offset, PAGE_BYTES, page);

        now = series_now_us();
        us[count++] = (float)(now - begun);
        if (r < 0)
            args_die("a read failed: %s", strerror(-r));
    }
    sample.reads = count;
    sample.reads_per_s = count / (now - start) * 1e6;
    sample.fetched = backed_stat(backed, STAT_bd_reads) - sample.fetched;
    summarize(us, count, &sample);
    return sample;
}

/* -- Phases in turns. -- */

struct load {
    const char *compressor, *name;
    bool incompressible, paced, counts;
};

enum phase { REST, WRITEBACK, MEMORY, PHASES };

struct measured {
    struct series p99[PHASES], p999[PHASES], median[PHASES], rate[PHASES];
    struct series writeback_ratio, memory_ratio, mib_per_s;
    uint64_t reads, fetched, failed;
};

static void open_both(const struct corpus *corpus, const struct load *load,
                      struct backed *backed, struct backed *memory)
{
    struct backed_wish wish = {
        .corpus = corpus,
        .compressor = load->compressor,
        .slots = SLOTS,
        .memory_bytes = backed_memory_bytes(SLOTS, NEW_RESIDENT_BYTES),
        .backing_bytes = 2ull * SLOTS * PAGE_BYTES,
    };

    backed_open(backed, &wish);
    wish.memory_bytes = wish.backing_bytes = 0;
    backed_open(memory, &wish);
}

static void measure_round(struct measured *measured, struct backed *backed,
                          struct writer *writer, struct writer *other, double seconds)
{
    static uint64_t random;
    struct sample samples[PHASES];

    backed_settle(backed);
    samples[REST] = read_warm(backed, &random, seconds);

    double start = series_now_us();
    uint64_t evicted = backed_stat(backed, STAT_bd_evicted_size);
    writer_start(writer);
    samples[WRITEBACK] = read_warm(backed, &random, seconds);
    evicted = backed_stat(backed, STAT_bd_evicted_size) - evicted;
    double us = series_now_us() - start;
    writer_stop(writer);

    /* The same pages a second, but they stay in RAM. */
    other->pages_per_s = (double)writer->written / writer->us * 1e6;
    backed_settle(backed);
    writer_start(other);
    samples[MEMORY] = read_warm(backed, &random, seconds);
    writer_stop(other);

    for (unsigned i = 0; i < PHASES; i++) {
        series_add(&measured->median[i], samples[i].median_us);
        series_add(&measured->p99[i], samples[i].p99_us);
        series_add(&measured->p999[i], samples[i].p999_us);
        series_add(&measured->rate[i], samples[i].reads_per_s);
    }
    series_add(&measured->writeback_ratio,
               samples[WRITEBACK].p99_us / samples[REST].p99_us);
    series_add(&measured->memory_ratio, samples[MEMORY].p99_us / samples[REST].p99_us);
    series_add(&measured->mib_per_s, (double)evicted / BACKED_MIB / us * 1e6);
    measured->reads += samples[WRITEBACK].reads;
    measured->fetched += samples[WRITEBACK].fetched;
    measured->failed += writer->failed + other->failed;
}

static void print_load(const struct load *load, struct measured *measured)
{
    static const char *const names[PHASES] = {"at rest", "during writeback",
                                              "same writes, no backing store"};

    for (unsigned i = 0; i < PHASES; i++) {
        struct series *ratio =
            i == WRITEBACK ? &measured->writeback_ratio : &measured->memory_ratio;

        printf("| %s, %s | %s | ", load->compressor, load->name, names[i]);
        if (i == WRITEBACK)
            printf("%.0f | %.2f %%", series_median(&measured->mib_per_s),
                   100.0 * (double)measured->fetched / (double)measured->reads);
        else
            printf(" | ");
        printf(" | %.0f | %.1f | %.1f | %.1f | ",
               series_median(&measured->rate[i]) / 1000,
               series_median(&measured->median[i]), series_median(&measured->p99[i]),
               series_median(&measured->p999[i]));
        if (i == REST)
            printf("| | |\n");
        else {
            double figure = series_median(ratio);

            printf("**%.2f** (%.2f, %.2f) | ", figure, series_quantile(ratio, 0.25),
                   series_quantile(ratio, 0.75));
            if (i == WRITEBACK && load->counts)
                printf("%.1f | %s |\n", ALLOWED_P99,
                       figure <= ALLOWED_P99 ? "reached" : "MISSED");
            else
                printf("| |\n");
        }
    }
    if (measured->failed)
        args_die("%llu writes failed", (unsigned long long)measured->failed);
    fflush(stdout);
}

static void table_row(const struct corpus *corpus, const struct load *load,
                      unsigned rounds, double seconds)
{
    static struct measured measured;
    struct backed backed, memory;

    memset(&measured, 0, sizeof measured);
    open_both(corpus, load, &backed, &memory);
    for (uint32_t slot = 0; slot < WARM_SLOTS; slot++)
        if (backed_write(&backed, slot, 1) < 0)
            args_die("a warm page cannot be written");

    struct writer writer = {.backed = &backed, .incompressible = load->incompressible};
    struct writer other = {.backed = &memory, .incompressible = load->incompressible};
    if (load->paced) {
        double object_bytes = load->incompressible
                                  ? PAGE_BYTES
                                  : (double)backed_object_bytes(&backed) / SLOTS;
        writer.pages_per_s = (double)PACED_BYTES_PER_S / object_bytes;
    }
    /* The first round fills RAM, and does not count. */
    for (unsigned round = 0; round <= rounds; round++) {
        if (round == 1)
            memset(&measured, 0, sizeof measured);
        measure_round(&measured, &backed, &writer, &other, round ? seconds : 1.0);
    }
    print_load(load, &measured);
    backed_close(&backed);
    backed_close(&memory);
}

static void table_reads(const struct corpus *corpus, unsigned rounds, double seconds)
{
    static const struct load loads[] = {
        {"zstd:1", "incompressible pages", true, true, true},
        {"lz4", "the corpus' pages", false, true, true},
        {"zstd:1", "the corpus' pages, as fast as they come", false, false, false},
        {"lz4", "the corpus' pages, as fast as they come", false, false, false},
    };

    printf(
        "| codec, what is written | the reader's p99 | evicted, MiB/s | reads that "
        "were fetches | reads/s, "
        "1000 | median, µs | p99, µs | p99.9, µs | p99 / at rest: median (quartiles) "
        "| at most | |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (unsigned i = 0; i < sizeof loads / sizeof loads[0]; i++)
        table_row(corpus, &loads[i], rounds, seconds);
    printf("\n");
}

/* -- Fetches. -- */

struct fetcher {
    pthread_t thread;
    struct backed *backed;
    const uint32_t *slots; /* each once: twice, and a page would go back to RAM */
    uint32_t count;
    float *us;
};

static void *fetch(void *opaque)
{
    struct fetcher *fetcher = opaque;
    unsigned char page[PAGE_BYTES];

    for (uint32_t i = 0; i < fetcher->count; i++) {
        double start = series_now_us();
        int r = volume_read(fetcher->backed->volume,
                            (uint64_t)fetcher->slots[i] * PAGE_BYTES, PAGE_BYTES, page);

        fetcher->us[i] = (float)(series_now_us() - start);
        if (r < 0)
            args_die("a fetch failed: %s", strerror(-r));
    }
    return NULL;
}

static void print_fetches(unsigned threads, float *us, uint32_t count, double all_us)
{
    struct sample sample;

    summarize(us, count, &sample);
    printf("| %u | %.1f | %.1f | %.0f |\n", threads, sample.median_us, sample.p99_us,
           count / all_us * 1e6);
}

static void table_fetch(const struct corpus *corpus)
{
    static uint32_t order[FETCH_SLOTS];
    static float us[FETCH_SLOTS];
    const struct backed_wish wish = {
        .corpus = corpus,
        .compressor = "zstd:1",
        .slots = FETCH_SLOTS,
        .memory_bytes = 4ull * FETCH_SLOTS * PAGE_BYTES,
        .backing_bytes = 2ull * FETCH_SLOTS * PAGE_BYTES,
    };
    struct backed backed;
    struct fetcher fetchers[FETCH_THREADS];
    uint64_t random = 1;
    const uint32_t alone = FETCH_SLOTS / 4,
                   each = (FETCH_SLOTS - alone) / FETCH_THREADS;

    backed_open(&backed, &wish);
    backed_fill(&backed, 0);
    if (volume_writeback(backed.volume) < 0)
        args_die("not all pages left");
    backed_settle(&backed);
    corpus_shuffle(order, FETCH_SLOTS, &random);

    printf("| threads | median, µs | p99, µs | fetches/s |\n|---|---|---|---|\n");
    struct fetcher first = {
        .backed = &backed, .slots = order, .count = alone, .us = us};
    double start = series_now_us();
    fetch(&first);
    print_fetches(1, us, alone, series_now_us() - start);

    start = series_now_us();
    for (unsigned i = 0; i < FETCH_THREADS; i++) {
        uint32_t at = alone + i * each;

        fetchers[i] = (struct fetcher){
            .backed = &backed, .slots = order + at, .count = each, .us = us + at};
        if (pthread_create(&fetchers[i].thread, NULL, fetch, &fetchers[i]) != 0)
            args_die("cannot start a thread");
    }
    for (unsigned i = 0; i < FETCH_THREADS; i++)
        pthread_join(fetchers[i].thread, NULL);
    print_fetches(FETCH_THREADS, us + alone, FETCH_THREADS * each,
                  series_now_us() - start);
    printf("\n");
    if (backed_stat(&backed, STAT_bd_reads) != alone + FETCH_THREADS * each)
        args_die("not every read was a fetch");
    backed_close(&backed);
}

int main(int argc, char **argv)
{
    struct corpus corpus;
    unsigned rounds = args_rounds(argc, argv, 15, 1, &corpus);

    corpus_drop_same_filled(&corpus); /* they are always in RAM */
    printf("Backing store: a file on %s.\n\n", backed_file_system());
    table_reads(&corpus, rounds, 0.3);
    table_fetch(&corpus);
    corpus_unload(&corpus);
    return 0;
}
