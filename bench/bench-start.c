/* bench-start.c - how long a start takes that finds pages in a state
 *
 * One table: pages in RAM or on the backing store, more of them, and a larger disk.  README.md says
 * how it is measured.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "args.h"
#include "series.h"
#include "volume.h"

#define STARTS 5u
#define ALLOWED_S 1.0
#define GIB_SLOTS (1u << 18)

struct wish {
    const char *size;
    uint32_t slots; /* with a page */
    bool stored;    /* all of them */
};

static char state[] = "/dev/shm/zslot-bench-XXXXXX", store[PATH_MAX];

static struct volume *open_volume(const struct wish *wish)
{
    const char *const pairs[][2] = {
        {"size", wish->size},
        {"compressor", "lz4"},
        {"memory-limit", "8G"},
        {"state", state},
        {"backing", wish->stored ? store : NULL},
        {"backing-size", wish->stored ? "8G" : NULL},
    };
    struct options options;
    struct volume *volume;
    struct reason reason;

    options_init(&options);
    for (unsigned i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i][1] && options_set(&options, pairs[i][0], pairs[i][1], &reason) < 0)
            args_die("%s", reason.text);
    if (volume_open(&options, &volume, &reason) < 0 ||
        volume_start(volume, &reason) < 0)
        args_die("%s", reason.text);
    return volume;
}

/* In a process of its own, which ends as if it were killed. */
static void fill(const struct wish *wish, const struct corpus *corpus)
{
    unsigned char page[PAGE_BYTES];
    int status;

    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct volume *volume = open_volume(wish);

        for (uint32_t slot = 0; slot < wish->slots; slot++) {
            corpus_page(corpus, slot, 0, page);
            int r = volume_write(volume, (uint64_t)slot * PAGE_BYTES, PAGE_BYTES, page);
            if (r < 0)
                args_die("a write failed: %s", strerror(-r));
        }
        if (wish->stored && volume_writeback(volume) < 0)
            args_die("writeback failed");
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        args_die("the volume could not be filled");
}

static void remove_state(void)
{
    static const char *const files[] = {"zslot-header", "zslot-slots", "zslot-pool",
                                        "zslot-writes"};
    char path[PATH_MAX];

    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", state, files[i]);
        unlink(path);
    }
    unlink(store);
}

static void row(const struct wish *wish, const struct corpus *corpus)
{
    static struct series starts_us;
    double objects = 0;

    starts_us.count = 0;
    fill(wish, corpus);
    for (unsigned i = 0; i < STARTS; i++) {
        double start_us = series_now_us();
        struct volume *volume = open_volume(wish);
        struct stats stats;

        series_add(&starts_us, series_now_us() - start_us);
        volume_stats(volume, &stats);
        if (stats.values[STAT_orig_data_size] == 0)
            args_die("the start found nothing");
        objects = (double)(stats.values[STAT_compr_data_size] +
                           stats.values[STAT_bd_live_size]);
        volume_close(volume);
    }
    double pages = (double)wish->slots / GIB_SLOTS,
           median = series_median(&starts_us) / 1e6;
    printf("| %.1f | %.2f | %s | %s | %.3f | %s |\n", pages, objects / (1 << 30),
           wish->stored ? "backing store" : "RAM", wish->size, median,
           pages > 1            ? ""
           : median < ALLOWED_S ? "reached"
                                : "MISSED");
    remove_state();
}

int main(int argc, char **argv)
{
    static const struct wish wishes[] = {
        {"8G", GIB_SLOTS / 2, false}, {"8G", GIB_SLOTS, false},
        {"1T", GIB_SLOTS, false},     {"8G", 2 * GIB_SLOTS, false},
        {"8G", GIB_SLOTS, true},      {"1T", GIB_SLOTS, true},
    };
    struct corpus corpus;

    if (argc != 2)
        args_die("usage: bench-start CORPUS");
    args_load_corpus(argv[1], &corpus);
    corpus_drop_same_filled(&corpus);
    if (!mkdtemp(state))
        args_die("cannot make %s: %s", state, strerror(errno));
    snprintf(store, sizeof store, "%s-store", state);

    printf("| GiB of pages | GiB of objects | in | size | start, s | under %.0f s |\n"
           "|---:|---:|---|---:|---:|---|\n",
           ALLOWED_S);
    for (unsigned i = 0; i < sizeof wishes / sizeof *wishes; i++)
        row(&wishes[i], &corpus);
    rmdir(state);
    corpus_unload(&corpus);
    return 0;
}
