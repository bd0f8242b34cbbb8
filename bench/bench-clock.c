/* bench-clock.c - what it costs that reads are timed
 *
 * The same reads of one volume with and without the clock (volume_time_reads()), in short batches: timed,
 * not, not, timed, and in the next round the other way round.  A round gives one ratio, and the
 * figure is the median of these.  README.md says more.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "backed.h"
#include "series.h"

#define SLOTS 32768u
#define ALLOWED 1.02

struct trial {
    struct volume *volume;
    const char *where, *compressor;
    bool
        waits; /* for others: processor time says nothing, and each slot is read once */
    unsigned operations, rounds;
};

static uint32_t order[SLOTS];

/* Of this thread's processor time, unless others do the work. */
static double now_us(const struct trial *trial)
{
    struct timespec now;

    if (trial->waits)
        return series_now_us();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Microseconds of a read, of those of ORDER from AT on. */
static double batch(const struct trial *trial, uint32_t at, bool timed)
{
    static unsigned char page[PAGE_BYTES];
    int r = 0;

    volume_time_reads(trial->volume, timed);
    double start = now_us(trial);
    for (unsigned i = 0; i < trial->operations; i++)
        r |= volume_read(trial->volume, (uint64_t)order[at + i] * PAGE_BYTES,
                         PAGE_BYTES, page);
    double us = now_us(trial) - start;
    if (r < 0)
        args_die("a read failed: %s", strerror(-r));
    return us / trial->operations;
}

static void measure(const struct trial *trial)
{
    static struct series with, without, ratio;
    uint64_t random = 1;
    uint32_t at = 0;

    with.count = without.count = ratio.count = 0;
    corpus_shuffle(order, SLOTS, &random);
    for (unsigned round = 0; round < trial->rounds; round++) {
        double us[2] = {0, 0};

        for (unsigned quarter = 0; quarter < 4; quarter++) {
            bool timed = (quarter == 0 || quarter == 3) == (round % 2 == 0);

            if (at + trial->operations > SLOTS) {
                if (trial->waits)
                    args_die("there are not so many slots");
                corpus_shuffle(order, SLOTS, &random);
                at = 0;
            }
            us[timed] += batch(trial, at, timed) / 2;
            at += trial->operations;
        }
        series_add(&with, us[1]);
        series_add(&without, us[0]);
        series_add(&ratio, us[1] / us[0]);
    }
    double figure = series_median(&ratio);
    printf("| %s | %s | %.3f | %.3f | **%.4f** (%.4f, %.4f) | %s |\n", trial->where,
           trial->compressor, series_median(&without), series_median(&with), figure,
           series_quantile(&ratio, 0.25), series_quantile(&ratio, 0.75),
           figure <= ALLOWED ? "reached" : "MISSED");
    fflush(stdout);
}

static void measure_same(unsigned rounds)
{
    uint64_t page[PAGE_BYTES / 8];
    struct codec_choice choice;
    struct trial trial = {
        .where = "same", .compressor = "any", .operations = 8192, .rounds = rounds};

    trial.volume = args_open_volume("128M", "lz4", &choice);
    for (uint64_t slot = 0; slot < SLOTS; slot++) {
        for (unsigned i = 0; i < PAGE_BYTES / 8; i++)
            page[i] = slot + 1;
        if (volume_write(trial.volume, slot * PAGE_BYTES, PAGE_BYTES, page) < 0)
            args_die("a write failed");
    }
    measure(&trial);
    volume_close(trial.volume);
}

static void measure_ram(const struct corpus *corpus, const char *compressor,
                        unsigned rounds)
{
    const struct backed_wish wish = {
        .corpus = corpus, .compressor = compressor, .slots = SLOTS};
    struct backed backed;

    backed_open(&backed, &wish);
    backed_fill(&backed, 0);
    const struct trial trial = {.where = "ram",
                                .compressor = compressor,
                                .volume = backed.volume,
                                .operations = 1024,
                                .rounds = rounds};
    measure(&trial);
    backed_close(&backed);
}

static void measure_backing(const struct corpus *corpus, unsigned rounds)
{
    const struct backed_wish wish = {
        .corpus = corpus,
        .compressor = "lz4",
        .slots = SLOTS,
        .memory_bytes = 4ull * SLOTS * PAGE_BYTES,
        .backing_bytes = 2ull * SLOTS * PAGE_BYTES,
    };
    struct backed backed;

    backed_open(&backed, &wish);
    backed_fill(&backed, 0);
    if (volume_writeback(backed.volume) < 0)
        args_die("not all pages left");
    backed_settle(&backed);
    struct trial trial = {.where = "backing",
                          .compressor = "lz4",
                          .volume = backed.volume,
                          .waits = true,
                          .operations = 64};
    trial.rounds = SLOTS / 4 / trial.operations;
    if (trial.rounds > rounds)
        trial.rounds = rounds;
    measure(&trial);
    if (backed_stat(&backed, STAT_bd_reads) != 4 * trial.rounds * trial.operations)
        args_die("not every read was a fetch");
    backed_close(&backed);
}

int main(int argc, char **argv)
{
    struct corpus corpus;
    unsigned rounds = args_rounds(argc, argv, 400, 2, &corpus);

    corpus_drop_same_filled(&corpus);
    printf("| where the page is | codec | untimed, µs | timed, µs | timed / untimed: "
           "median (quartiles) | at most %.2f |\n|---|---|---|---|---|---|\n",
           ALLOWED);
    measure_same(rounds);
    measure_ram(&corpus, "none", rounds);
    measure_ram(&corpus, "lz4", rounds);
    measure_ram(&corpus, "zstd:1", rounds);
    measure_backing(&corpus, rounds);
    printf("\n");
    corpus_unload(&corpus);
    return 0;
}
