/* io-flusher.c - every thread of a server that serves swap is one the kernel knows as such
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "far.h"
#include "harness.h"
#include "server.h"

/* PR_SET_IO_FLUSHER sets it (include/linux/sched.h). */
#define PF_MEMALLOC_NOIO 0x00080000u

static unsigned long flags_of(int pid, const char *thread)
{
    char path[128], line[512];
    unsigned long flags;

    snprintf(path, sizeof path, "/proc/%d/task/%.20s/stat", pid, thread);
    FILE *file = fopen(path, "re");
    if (!file)
        return PF_MEMALLOC_NOIO; /* it has ended */
    ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
    fclose(file);
    /* The name, in parentheses, may hold anything. */
    ck_assert_int_eq(
        sscanf(strrchr(line, ')') + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags), 1);
    return flags;
}

static unsigned check_threads(int pid)
{
    char path[64];
    unsigned threads = 0;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *directory = opendir(path);
    ck_assert_ptr_nonnull(directory);
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.') {
            ck_assert_msg(flags_of(pid, entry->d_name) & PF_MEMALLOC_NOIO,
                          "thread %s is none", entry->d_name);
            threads++;
        }
    closedir(directory);
    return threads;
}

static bool may_be_one(void)
{
    return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0;
}

/* nbdkit's threads are not ours, and inherit it from the one that made them. */
START_TEST(every_thread_is_an_io_flusher)
{
    struct server server;
    char data[PAGE] = {1}, backing[128];

    /* So that it is not inherited from here. */
    ck_assert_int_eq(prctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0), 0);
    far_make_disk(16 * MIB);
    snprintf(backing, sizeof backing, "backing=%s", far_disk);
    SERVER_START(&server, "-t", "4", "zslot", "16M", "memory-limit=32M", backing);
    struct nbd_handle *first = server_connect(&server);
    struct nbd_handle *second = server_connect(&server);
    NBD_OK(nbd_pwrite(first, data, PAGE, 0, 0));
    NBD_OK(nbd_pread(second, data, PAGE, 0, 0));
    ck_assert_uint_ge(check_threads(server.pid), 4);
    nbd_close(first);
    nbd_close(second);
    server_stop(&server);
}
END_TEST

/* Skipped where it would see nothing; tests/vm/rights.sh has the right to it everywhere. */
int main(void)
{
    const TTest *const tests[] = {every_thread_is_an_io_flusher};

    if (!may_be_one() || harness_is_slow()) { /* a sanitizer has threads of its own */
        puts("io-flusher: skipped: not permitted here, or a sanitizer");
        return 77;
    }
    return harness_main("io-flusher", far_setup, far_teardown, tests, 1);
}
