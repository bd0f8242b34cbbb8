/* bench-density.c - the RAM that pages take, all in, and where it is
 *
 * A volume is filled from the corpus, then every page is overwritten, in a random order, by
 * another page of the corpus, several times over, by two threads; then it is compacted.  After
 * each, RAM is compared with the objects' lengths, and with kernel zram's for the same pages.
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
#include "bare.h"
#include "context.h"
#include "corpus.h"
#include "ram.h"
#include "size-class.h"
#include "slot.h"
#include "volume.h"
#include "zram.h"

/* Larger than what is filled, as a RAM disk is: its fixed parts count too. */
#define VOLUME_SIZE "16G"
#define THREADS 2u
#define OVERWRITES 10u

/* The figures. */
#define ALLOWED_FILLED 1.05
#define ALLOWED_OVERWRITTEN 1.10

#define MIB (1024.0 * 1024)

struct trial {
    const struct corpus *corpus;
    struct volume *volume;
    struct codec_choice choice;
    uint32_t slots;
    uint32_t *order; /* of an overwriting */
    uint32_t version;
    uint64_t resident_before; /* this process without the volume */
};

/* What stands at some moment, in bytes. */
struct account {
    uint64_t objects, all, resident; /* lengths; mem_used_total; as the kernel says */
    uint64_t owners, rounding, tails, free_places;
    uint64_t slots, directory, contexts, descriptors;
};

static void write_slot(struct trial *trial, uint32_t slot)
{
    unsigned char page[PAGE_BYTES];

    corpus_page(trial->corpus, slot, trial->version, page);
    int r = volume_write(trial->volume, (uint64_t)slot * PAGE_BYTES, PAGE_BYTES, page);
    if (r < 0)
        args_die("a write failed: %s", strerror(-r));
}

/* -- Two threads that write all slots, each its share of the order. -- */

struct share {
    struct trial *trial;
    unsigned number;
};

static void *write_share(void *opaque)
{
    struct share *share = opaque;
    struct trial *trial = share->trial;

    for (uint32_t i = share->number; i < trial->slots; i += THREADS)
        write_slot(trial, trial->order[i]);
    return NULL;
}

static void write_all(struct trial *trial)
{
    pthread_t threads[THREADS];
    struct share shares[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        shares[i] = (struct share){trial, i};
        if (pthread_create(&threads[i], NULL, write_share, &shares[i]) != 0)
            args_die("cannot start a thread");
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void fill(struct trial *trial)
{
    trial->version = 0;
    for (uint32_t i = 0; i < trial->slots; i++)
        trial->order[i] = i;
    write_all(trial);
}

static void overwrite(struct trial *trial, unsigned times)
{
    uint64_t state = 1;

    for (unsigned i = 0; i < times; i++) {
        trial->version++;
        corpus_shuffle(trial->order, trial->slots, &state);
        write_all(trial);
    }
}

/* -- Where the bytes are. -- */

/* What objects of these lengths must take in full spans, from the same pages and codec. */
static void count_lengths(struct trial *trial, struct account *account)
{
    static uint64_t per_class[SIZE_CLASSES];
    unsigned char page[PAGE_BYTES];
    struct bare bare;

    if (bare_open(&bare, trial->choice) < 0)
        args_die("no memory for a codec");
    memset(per_class, 0, sizeof per_class);
    for (uint32_t slot = 0; slot < trial->slots; slot++) {
        uint64_t word;

        corpus_page(trial->corpus, slot, trial->version, page);
        if (page_is_same_filled(page, &word))
            continue;
        uint32_t length = bare_compress(&bare, page);
        if (length == 0)
            length = PAGE_BYTES;
        unsigned class = size_class_of(length);
        unsigned owner = class == SIZE_CLASS_RAW ? 0 : sizeof(uint32_t);

        per_class[class]++;
        account->owners += owner;
        account->rounding += size_classes[class].stride_bytes - owner - length;
    }
    bare_close(&bare);

    double tails = 0;
    for (unsigned i = 0; i < SIZE_CLASSES; i++) {
        const struct size_class *class = &size_classes[i];
        unsigned tail =
            class->pages * PAGE_BYTES - (unsigned)class->objects * class->stride_bytes;

        tails += (double)per_class[i] / class->objects * tail;
    }
    account->tails = (uint64_t)tails;
}

static struct account take_account(struct trial *trial)
{
    struct account account = {0};
    struct stats stats;

    volume_stats(trial->volume, &stats);
    account.objects = stats.values[STAT_compr_data_size];
    account.all = stats.values[STAT_mem_used_total];
    account.resident = ram_resident_bytes() - trial->resident_before;
    count_lengths(trial, &account);

    account.slots = ram_mapping_bytes("zslot-slots");
    account.directory =
        slot_table_fixed_bytes(volume_size_bytes(trial->volume) / PAGE_BYTES);
    account.contexts = context_set_bytes(context_count_default(), trial->choice);
    uint64_t pool = ram_mapping_bytes("zslot-pool");
    account.free_places =
        pool - account.objects - account.owners - account.rounding - account.tails;
    account.descriptors =
        account.all - pool - account.slots - account.directory - account.contexts;
    return account;
}

static void print_account(const struct account *filled,
                          const struct account *overwritten,
                          const struct account *compacted)
{
    static const struct {
        const char *name;
        size_t offset;
    } rows[] = {
#define ROW(field, name) {name, offsetof(struct account, field)}
        ROW(objects, "objects, as long as the codec made them"),
        ROW(owners, "owners, 4 bytes behind each object"),
        ROW(rounding, "rounding up to strides of size classes"),
        ROW(tails, "ends of spans, too short for an object"),
        ROW(free_places, "free places with RAM, and begun OS pages"),
        ROW(slots, "slot table"),
        ROW(directory, "directory of the slot table's leaves"),
        ROW(descriptors, "descriptors of spans"),
        ROW(contexts, "codec contexts and scratch"),
        ROW(all, "**all, as `mem_used_total`**"),
        ROW(resident, "the kernel's count for the process (RssAnon + RssShmem)"),
#undef ROW
    };
    const struct account *columns[] = {filled, overwritten, compacted};

    printf("| %% of the objects' bytes | filled | overwritten | and compacted |\n"
           "|---|---|---|---|\n");
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        printf("| %s |", rows[i].name);
        for (unsigned c = 0; c < 3; c++) {
            uint64_t bytes;

            memcpy(&bytes, (const char *)columns[c] + rows[i].offset, sizeof bytes);
            printf(" %.2f |", 100.0 * (double)bytes / (double)columns[c]->objects);
        }
        printf("\n");
    }
    printf("\n");
}

/* -- RAM against the objects. -- */

static void trial_open(struct trial *trial, const struct corpus *corpus,
                       const char *compressor, uint32_t mib)
{
    *trial =
        (struct trial){.corpus = corpus, .slots = mib * (uint32_t)(MIB / PAGE_BYTES)};
    trial->order = malloc(trial->slots * sizeof *trial->order);
    if (!trial->order)
        args_die("no memory for an order of slots");
    memset(trial->order, 0, trial->slots * sizeof *trial->order);
    trial->resident_before = ram_resident_bytes();
    trial->volume = args_open_volume(VOLUME_SIZE, compressor, &trial->choice);
}

static void trial_close(struct trial *trial)
{
    struct reason reason;

    if (volume_check(trial->volume, &reason) < 0)
        args_die("the volume is not sound: %s", reason.text);
    volume_close(trial->volume);
    free(trial->order);
}

static void print_figure(const char *compressor, uint32_t mib, const char *when,
                         const struct account *account, double allowed)
{
    double figure = (double)account->all / (double)account->objects;

    printf("| %s | %u MiB | %s | %.1f | %.1f | **%.4f** | ", compressor, mib, when,
           (double)account->objects / MIB, (double)account->all / MIB, figure);
    if (allowed > 0)
        printf("%.2f | %s |\n", allowed, figure <= allowed ? "reached" : "MISSED");
    else
        printf("| |\n");
    fflush(stdout);
}

static void table_density(const struct corpus *corpus, const char *compressor,
                          uint32_t mib)
{
    struct trial trial;

    trial_open(&trial, corpus, compressor, mib);
    fill(&trial);
    struct account filled = take_account(&trial);
    print_figure(compressor, mib, "filled", &filled, ALLOWED_FILLED);
    overwrite(&trial, OVERWRITES);
    struct account overwritten = take_account(&trial);
    print_figure(compressor, mib, "overwritten, before compaction", &overwritten, 0);
    volume_compact(trial.volume, NULL);
    struct account compacted = take_account(&trial);
    print_figure(compressor, mib, "overwritten and compacted", &compacted,
                 ALLOWED_OVERWRITTEN);
    printf("\nWhere it is (%s, %u MiB of pages):\n\n", compressor, mib);
    print_account(&filled, &overwritten, &compacted);
    trial_close(&trial);
}

static void heading_density(void)
{
    printf("| codec | pages | when | objects, MiB | RAM all in, MiB | RAM / objects | "
           "at most "
           "| |\n|---|---|---|---|---|---|---|---|\n");
}

/* -- RAM against kernel zram. -- */

#define ZRAM_MOMENTS 3u
static const char *const zram_moments[ZRAM_MOMENTS] = {"filled", "overwritten",
                                                       "overwritten and compacted"};

static uint64_t zram_all_in(const struct trial *trial)
{
    return zram_used_bytes() + 16ull * trial->slots;
}

/* The same pages in the same order of writes, as run by one thread. */
static int measure_zram(struct trial *trial, uint64_t bytes[ZRAM_MOMENTS])
{
    unsigned char page[PAGE_BYTES];
    uint64_t state = 1;
    int r = 0;

    for (unsigned version = 0; version <= OVERWRITES && r == 0; version++) {
        for (uint32_t i = 0; version == 0 && i < trial->slots; i++)
            trial->order[i] = i;
        if (version > 0)
            corpus_shuffle(trial->order, trial->slots, &state);
        for (uint32_t i = 0; i < trial->slots && r == 0; i++) {
            corpus_page(trial->corpus, trial->order[i], version, page);
            r = zram_write(trial->order[i], page);
        }
        if (version == 0)
            bytes[0] = zram_all_in(trial);
    }
    bytes[1] = zram_all_in(trial);
    if (r == 0)
        r = zram_compact();
    bytes[2] = zram_all_in(trial);
    return r;
}

static void measure_ours(struct trial *trial, uint64_t bytes[ZRAM_MOMENTS])
{
    struct stats stats;

    for (unsigned moment = 0; moment < ZRAM_MOMENTS; moment++) {
        if (moment == 0)
            fill(trial);
        else if (moment == 1)
            overwrite(trial, OVERWRITES);
        else
            volume_compact(trial->volume, NULL);
        volume_stats(trial->volume, &stats);
        bytes[moment] = stats.values[STAT_mem_used_total];
    }
}

static void table_zram(const struct corpus *corpus, uint32_t mib)
{
    static const struct {
        const char *compressor;
        double allowed;
    } ours[] = {{"zstd:1", 0.70}, {"zstd:-1", 0.82}, {"lz4", 0}};
    uint64_t theirs[ZRAM_MOMENTS], bytes[ZRAM_MOMENTS];
    struct trial trial;
    struct reason reason;

    if (zram_open((uint64_t)mib << 20, "lz4", &reason) < 0) {
        printf("No comparison with kernel zram: %s.\n\n", reason.text);
        return;
    }
    trial_open(&trial, corpus, "lz4", mib);
    int r = measure_zram(&trial, theirs);
    zram_close();
    trial_close(&trial);
    if (r < 0) {
        printf(
            "No comparison with kernel zram: a write or the compaction failed: %s.\n\n",
            strerror(-r));
        return;
    }

    printf("| codec | when | zslot, bytes a page | zram with lz4, bytes a page | zslot "
           "/ zram | "
           "at most | |\n|---|---|---|---|---|---|---|\n");
    for (unsigned i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        trial_open(&trial, corpus, ours[i].compressor, mib);
        measure_ours(&trial, bytes);
        for (unsigned moment = 0; moment < ZRAM_MOMENTS; moment++) {
            double figure = (double)bytes[moment] / (double)theirs[moment];
            /* Overwritten counts after a compaction on either side. */
            bool counts = ours[i].allowed > 0 && moment != 1;

            printf("| %s | %s | %.0f | %.0f | **%.3f** | ", ours[i].compressor,
                   zram_moments[moment], (double)bytes[moment] / trial.slots,
                   (double)theirs[moment] / trial.slots, figure);
            if (counts)
                printf("%.2f | %s |\n", ours[i].allowed,
                       figure <= ours[i].allowed ? "reached" : "MISSED");
            else
                printf("| |\n");
        }
        fflush(stdout);
        trial_close(&trial);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    struct corpus corpus;
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    const char *path = argv[1 + quick];

    if (argc != 2 + quick || path[0] == '-')
        args_die("usage: bench-density [--quick] CORPUS");
    args_load_corpus(path, &corpus);
    printf("Corpus: %u pages, %u of them same-filled.\n\n", corpus.count,
           corpus.same_filled);

    static const char *const codecs_measured[] = {"zstd:1", "zstd:-1", "lz4"};
    for (unsigned i = 0; i < (quick ? 1 : 3); i++) {
        heading_density();
        table_density(&corpus, codecs_measured[i], 256);
    }
    if (!quick) {
        heading_density();
        table_density(&corpus, "zstd:1", 1024);
    }
    table_zram(&corpus, 256);
    corpus_unload(&corpus);
    return 0;
}
