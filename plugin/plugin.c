/* plugin.c - the face for nbdkit
 *
 * Owns:    the one volume that this nbdkit serves, and its control endpoint.
 * Called:  by nbdkit; data callbacks by many threads at the same time.
 * Locks:   none.
 * Never:   decides anything that another face would decide too; that is core's.
 *
 * The only file that includes nbdkit's headers.  The order of life is nbdkit's: config
 * for each parameter, get_ready (all that can fail), perhaps a fork, after_fork (memory
 * and threads), open and requests, cleanup or not, unload.  Between get_ready and after_fork it binds
 * its sockets, changes its user and writes its pid file, and calls exit() when it cannot, without
 * unload: end_of_process() is for that.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "control.h"
#include "volume.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* -D zslot.stats=1 prints statistics at exit, -D zslot.check=1 what volume_check() says. */
NBDKIT_DLL_PUBLIC int zslot_debug_stats = 0;
NBDKIT_DLL_PUBLIC int zslot_debug_check = 0;

static struct options options;
static struct volume *volume;
static struct control *control;
static char description[64]; /* of the export */
static bool has_begun;       /* the volume */
static bool is_the_child_s;  /* all of it: there was a fork, and this is the parent */

/* -- Parameters. -- */

/* Both nbdkit's way into the background and that of --run: who has forked goes its own way, and ends. */
static void after_fork_in_parent(void)
{
    is_the_child_s |= volume != NULL;
}

static void zslot_load(void)
{
    options_init(&options);
    /* It can fail for lack of memory only, and then we are as good as without: a parent that ends takes
     * nothing away. */
    is_the_child_s = pthread_atfork(NULL, after_fork_in_parent, NULL) != 0;
}

static int zslot_config(const char *key, const char *value)
{
    struct reason reason;

    /* options borrow it, for as long as we are loaded. */
    const char *kept = nbdkit_strdup_intern(value);
    /* In the background the current directory is another one. */
    if (kept && *kept && strcmp(key, "control") == 0) {
        char *path = nbdkit_absolute_path(kept);

        kept = path ? nbdkit_strdup_intern(path) : NULL;
        free(path);
    }
    if (!kept)
        return -1;
    if (options_set(&options, key, kept, &reason) < 0) {
        nbdkit_error("%s", reason.text);
        return -1;
    }
    return 0;
}

static int zslot_config_complete(void)
{
    struct reason reason;

    if (options_complete(&options, &reason) < 0) {
        nbdkit_error("%s", reason.text);
        return -1;
    }
    return 0;
}

static void zslot_dump_plugin(void)
{
    printf("zslot_version=%s\n", PACKAGE_VERSION);
    printf("zslot_page_size=%u\n", VOLUME_PAGE_BYTES);
    printf("zslot_parameters=%s\n", options_keys + 1);
    printf("zslot_codecs=");
    for (unsigned id = CODEC_COUNT; id-- > 0;)
        printf("%s%s", codecs[id]->name, id ? " " : "\n");
    printf("zslot_backing_stores=");
    for (unsigned i = 0; volume_backing_name(i); i++)
        printf("%s%s", i ? " " : "", volume_backing_name(i));
    printf("\n");
}

/* -- Life. -- */

/* In a thread of nbdkit's that serves a request: whether nbdkit was told to end, or the connection has
 * come to its end.  No time to sleep, but nbdkit_nanosleep() is how one asks. */
static bool is_ending(void *opaque)
{
    (void)opaque;
    return nbdkit_nanosleep(0, 0) < 0;
}

/* nbdkit has no milder word that is logged in any case. */
static void say(void *opaque, const char *sentence)
{
    (void)opaque;
    nbdkit_error("zslot: %s", sentence);
}

static const struct volume_host host = {.is_ending = is_ending, .say = say};

static void close_control(void)
{
    control_close(control);
    control = NULL;
}

/* A volume that has not begun leaves nothing, and changes nothing. */
static void close_all(void)
{
    close_control();
    volume_close(volume);
    volume = NULL;
}

static int refuse(const struct reason *reason)
{
    nbdkit_error("%s", reason->text);
    close_all();
    return -1;
}

/* When nbdkit calls exit(); after unload there is nothing left to do.  Once it serves, other threads
 * may be at work. */
static void end_of_process(void) __attribute__((destructor));
static void end_of_process(void)
{
    if (!has_begun && !is_the_child_s)
        close_all();
}

static int zslot_get_ready(void)
{
    struct reason reason;

    if (volume_open(&options, &volume, &reason) < 0 ||
        control_open(&options, volume, &control, &reason) < 0)
        return refuse(&reason);
    if (volume_warns(volume, &reason))
        fprintf(stderr, "zslot: %s\n", reason.text);
    volume_set_host(volume, &host);
    snprintf(description, sizeof description, "zslot %s", volume_identity(volume));
    return 0;
}

static int zslot_after_fork(void)
{
    struct reason reason;

    if (volume_prepare(volume, &reason) < 0 || control_start(control, &reason) < 0)
        return refuse(&reason);
    has_begun = true;
    volume_begin(volume);
    nbdkit_debug("zslot: %" PRIu64 " bytes, memory-lock %s%s%s",
                 volume_size_bytes(volume), options.memory_lock ? "on" : "off",
                 volume_process_is_locked(volume) ? ", process locked too" : "",
                 volume_process_is_flusher(volume) ? ", I/O flusher" : "");
    if (options.state)
        nbdkit_debug("zslot: %" PRIu64 " pages found in %s", volume_found_pages(volume),
                     options.state);
    return 0;
}

static void print_stats(void)
{
    struct stats stats;

    volume_stats(volume, &stats);
    for (unsigned i = 0; i < STAT_COUNT; i++)
        fprintf(stderr, "zslot: %s=%" PRIu64 "\n", stat_name((enum stat_id)i),
                stats.values[i]);
}

static void print_check(void)
{
    struct reason reason;

    fprintf(stderr, "zslot: check: %s\n",
            volume_check(volume, &reason) < 0 ? reason.text : "ok");
}

static void zslot_cleanup(void)
{
    close_control();
    if (zslot_debug_stats && volume)
        print_stats();
    if (zslot_debug_check && volume)
        print_check();
}

static void zslot_unload(void)
{
    close_all();
}

/* -- Connections. -- */

static void *zslot_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t zslot_get_size(void *handle)
{
    (void)handle;
    return (int64_t)volume_size_bytes(volume);
}

static int always(void *handle)
{
    (void)handle;
    return 1;
}

/* Writes are in RAM when they are answered: nothing is left to flush. */
static int zslot_can_fua(void *handle)
{
    (void)handle;
    return NBDKIT_FUA_NATIVE;
}

static int zslot_can_cache(void *handle)
{
    (void)handle;
    return NBDKIT_CACHE_NATIVE;
}

static int zslot_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
                            uint32_t *maximum)
{
    (void)handle;
    *minimum = 1;
    *preferred = VOLUME_PAGE_BYTES;
    *maximum = UINT32_MAX;
    return 0;
}

/* -- Requests. -- */

/* Thousands a second may fail, by the memory limit or a backing store that is gone: of a kind the
 * first is logged, the second, the fourth, and so on; and the first again after a minute's rest. */
static bool is_worth_logging(int err)
{
    static struct {
        _Atomic uint64_t count;
        _Atomic time_t last_s;
    } kinds[3];
    unsigned kind = err == -ENOSPC ? 0 : err == -EIO ? 1 : 2;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (now.tv_sec - atomic_exchange(&kinds[kind].last_s, now.tv_sec) >= 60)
        kinds[kind].count = 0;
    uint64_t n = ++kinds[kind].count;
    return (n & (n - 1)) == 0;
}

/* Tells nbdkit, and by it the client, what went wrong; returns what a callback
 * returns. */
static int answer(int r, const char *operation, uint32_t count, uint64_t offset)
{
    if (r == 0)
        return 0;
    if (is_worth_logging(r))
        nbdkit_error("zslot: %s of %" PRIu32 " bytes at %" PRIu64 " (slot %" PRIu64
                     "): %s%s",
                     operation, count, offset, offset / VOLUME_PAGE_BYTES,
                     r == -ENOSPC ? "no room: " : "",
                     r == -ENOSPC ? volume_why_no_room(volume) : strerror(-r));
    nbdkit_set_error(-r);
    return -1;
}

static int zslot_pread(void *handle, void *buf, uint32_t count, uint64_t offset,
                       uint32_t flags)
{
    (void)handle;
    (void)flags;
    return answer(volume_read(volume, offset, count, buf), "read", count, offset);
}

static int zslot_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
                        uint32_t flags)
{
    (void)handle;
    (void)flags;
    return answer(volume_write(volume, offset, count, buf), "write", count, offset);
}

static int zslot_flush(void *handle, uint32_t flags)
{
    (void)handle;
    (void)flags;
    return answer(volume_flush(volume), "flush", 0, 0);
}

static int zslot_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)flags;
    return answer(volume_trim(volume, offset, count), "trim", count, offset);
}

/* Always fast, and a page of zeroes takes no memory with NBDKIT_FLAG_MAY_TRIM or
 * without: a compressed disk cannot set space aside for what will be written there. */
static int zslot_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)flags;
    return answer(volume_zero(volume, offset, count), "zero", count, offset);
}

static int zslot_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)flags;
    return answer(volume_cache(volume, offset, count), "cache", count, offset);
}

struct extents_request {
    struct nbdkit_extents *extents;
    bool one;
};

static int add_extent(void *opaque, uint64_t offset, uint64_t bytes, bool hole)
{
    struct extents_request *request = opaque;
    uint32_t type = hole ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0;

    /* nbdkit has said what failed, and errno is as good as any. */
    if (nbdkit_add_extent(request->extents, offset, bytes, type) < 0)
        return errno > 0 ? -errno : -ENOMEM;
    return request->one;
}

static int zslot_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                         struct nbdkit_extents *extents)
{
    struct extents_request request = {
        .extents = extents,
        .one = flags & NBDKIT_FLAG_REQ_ONE,
    };

    (void)handle;
    return answer(volume_extents(volume, offset, count, add_extent, &request),
                  "extents", count, offset);
}

/* A client that comes back (zslot-attach) sees by it whether its pages are still there. */
static const char *zslot_export_description(void *handle)
{
    (void)handle;
    return description;
}

static struct nbdkit_plugin plugin = {
    .name = "zslot",
    .longname = "zslot, a compressed RAM disk",
    .version = PACKAGE_VERSION,
    .description = "Keeps the pages of a disk compressed in RAM.",
    .load = zslot_load,
    .unload = zslot_unload,
    .config = zslot_config,
    .config_complete = zslot_config_complete,
    .config_help = options_help,
    .magic_config_key = "size",
    .dump_plugin = zslot_dump_plugin,
    .get_ready = zslot_get_ready,
    .after_fork = zslot_after_fork,
    .cleanup = zslot_cleanup,
    .open = zslot_open,
    .get_size = zslot_get_size,
    .export_description = zslot_export_description,
    .can_write = always,
    .can_flush = always,
    .can_trim = always,
    .can_zero = always,
    .can_fast_zero = always,
    .can_extents = always,
    .can_multi_conn = always,
    .can_fua = zslot_can_fua,
    .can_cache = zslot_can_cache,
    .block_size = zslot_block_size,
    .pread = zslot_pread,
    .pwrite = zslot_pwrite,
    .flush = zslot_flush,
    .trim = zslot_trim,
    .zero = zslot_zero,
    .cache = zslot_cache,
    .extents = zslot_extents,
};

NBDKIT_REGISTER_PLUGIN(plugin)
