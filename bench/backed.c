/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "backed.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "bare.h"

/* The tables, contexts and buffers of a volume with a backing store, beside 16 bytes a slot; and
 * writeback keeps an eighth of the limit free. */
#define FIXED_BYTES (UINT64_C(5) << 20)

static const char *directory(void)
{
    const char *wish = getenv("TMPDIR");

    return wish && *wish ? wish : "/dev/shm";
}

const char *backed_file_system(void)
{
    struct statfs status;

    return statfs(directory(), &status) == 0 && status.f_type == TMPFS_MAGIC
               ? "tmpfs"
               : "another file system";
}

/* An empty file, open; its name goes to PATH of PATH_MAX bytes. */
static int make_file(char *path)
{
    snprintf(path, PATH_MAX, "%s/zslot-bench-XXXXXX", directory());
    int fd = mkstemp(path);
    if (fd < 0)
        args_die("cannot make a file in %s: %s; name another directory by TMPDIR",
                 directory(), strerror(errno));
    return fd;
}

int backed_make_file(void)
{
    char path[PATH_MAX];
    int fd = make_file(path);

    unlink(path);
    return fd;
}

uint64_t backed_memory_bytes(uint32_t slots, uint64_t object_bytes)
{
    uint64_t needed = FIXED_BYTES + 20ull * slots + object_bytes;

    return needed + needed / 8;
}

static void must_set(struct options *options, const char *key, const char *value)
{
    struct reason reason;

    if (options_set(options, key, value, &reason) < 0)
        args_die("%s", reason.text);
}

void backed_open(struct backed *backed, const struct backed_wish *wish)
{
    char size[32], memory[32], backing_size[32], path[PATH_MAX];
    struct options options;
    struct reason reason;

    *backed = (struct backed){.corpus = wish->corpus, .slots = wish->slots};
    backed->versions = calloc(wish->slots, sizeof *backed->versions);
    if (!backed->versions)
        args_die("no memory for the versions of %u pages", wish->slots);

    options_init(&options);
    snprintf(size, sizeof size, "%" PRIu64, (uint64_t)wish->slots * PAGE_BYTES);
    must_set(&options, "size", size);
    must_set(&options, "compressor", wish->compressor);
    if (wish->memory_bytes > 0) {
        snprintf(memory, sizeof memory, "%" PRIu64, wish->memory_bytes);
        must_set(&options, "memory-limit", memory);
    }
    path[0] = 0;
    if (wish->backing_bytes > 0) {
        close(make_file(path));
        snprintf(backing_size, sizeof backing_size, "%" PRIu64,
                 wish->backing_bytes / PAGE_BYTES * PAGE_BYTES);
        must_set(&options, "backing", path);
        must_set(&options, "backing-size", backing_size);
    }
    int r = volume_open(&options, &backed->volume, &reason);
    if (path[0])
        unlink(path);
    if (r < 0 || volume_start(backed->volume, &reason) < 0)
        args_die("%s", reason.text);
    backed->choice = options.compressor;
}

void backed_close(struct backed *backed)
{
    struct reason reason;

    if (volume_check(backed->volume, &reason) < 0)
        args_die("the volume is not sound: %s", reason.text);
    volume_close(backed->volume);
    free(backed->versions);
}

int backed_write(struct backed *backed, uint32_t slot, uint32_t version)
{
    unsigned char page[PAGE_BYTES];

    corpus_page(backed->corpus, slot, version, page);
    int r = volume_write(backed->volume, (uint64_t)slot * PAGE_BYTES, PAGE_BYTES, page);
    if (r == 0)
        backed->versions[slot] = version;
    return r;
}

void backed_fill(struct backed *backed, uint32_t version)
{
    for (uint32_t slot = 0; slot < backed->slots; slot++) {
        int r = backed_write(backed, slot, version);

        if (r < 0)
            args_die("a write failed: %s", strerror(-r));
    }
}

uint64_t backed_object_bytes(const struct backed *backed)
{
    unsigned char page[PAGE_BYTES];
    struct bare bare;
    uint64_t bytes = 0;

    if (bare_open(&bare, backed->choice) < 0)
        args_die("no memory for a codec");
    for (uint32_t slot = 0; slot < backed->slots; slot++) {
        corpus_page(backed->corpus, slot, backed->versions[slot], page);
        uint32_t length = bare_compress(&bare, page);

        bytes += length ? length : PAGE_BYTES;
    }
    bare_close(&bare);
    return bytes;
}

uint64_t backed_stat(const struct backed *backed, enum stat_id stat)
{
    struct stats stats;

    volume_stats(backed->volume, &stats);
    return stats.values[stat];
}

void backed_settle(const struct backed *backed)
{
    static const struct timespec while_ms = {.tv_nsec = 20000000};
    uint64_t before, written = 0, used = 0, used_before;

    do {
        before = written;
        used_before = used;
        nanosleep(&while_ms, NULL);
        written = backed_stat(backed, STAT_bd_written_size);
        used = backed_stat(backed, STAT_bd_used_size);
    } while (written != before || used != used_before);
}
