/* files.c - writes files, or parts of a device, and verifies them
 *
 *   files write|check DIRECTORY FIRST END STEP VERSION      1 MiB and a little for each number
 *   files write|check DEVICE FIRST-MIB END-MIB VERSION      by direct I/O, 64 KiB at a time
 *
 * Exit status: 0 all is right, 1 some is not, 3 it could not be read or written, 2 others.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#define _GNU_SOURCE
#include "content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_PAGES = 16, CHUNK = CHUNK_PAGES * CONTENT_PAGE, MIB = 1048576, SEED = 1 };

static _Alignas(CONTENT_PAGE) uint64_t wanted[CHUNK / 8];
static _Alignas(CONTENT_PAGE) uint64_t found[CHUNK / 8];
static bool writes;
static uint64_t version;
static unsigned bad;

static void give_up(const char *what, uint64_t offset, ssize_t done)
{
    printf("files: %s at %llu: %s\n", what, (unsigned long long)offset,
           done < 0 ? strerror(errno) : "short");
    exit(3);
}

/* go_over: what stands from "offset" to "end" in a file whose pages are numbered from "index" */
static void go_over(int fd, const char *name, uint64_t offset, uint64_t end,
                    uint64_t index)
{
    for (; offset < end; offset += CHUNK, index += CHUNK_PAGES) {
        const size_t length = end - offset < CHUNK ? end - offset : CHUNK;
        for (unsigned i = 0; i < CHUNK_PAGES; i++)
            content_make(wanted + i * CONTENT_WORDS, SEED, index + i, version);
        const ssize_t done = writes ? pwrite(fd, wanted, length, offset)
                                    : pread(fd, found, length, offset);
        if (done != (ssize_t)length)
            give_up(name, offset, done);
        if (!writes && memcmp(wanted, found, length)) {
            printf("files: %s at %llu is not what was written\n", name,
                   (unsigned long long)offset);
            bad++;
        }
    }
}

static int open_it(const char *path, int flags)
{
    const int fd = open(path, flags | (writes ? O_WRONLY | O_CREAT : O_RDONLY), 0644);

    if (fd < 0)
        give_up(path, 0, -1);
    return fd;
}

static void go_over_files(const char *directory, unsigned first, unsigned end,
                          unsigned step)
{
    char path[256];

    for (unsigned i = first; i < end; i += step) {
        snprintf(path, sizeof path, "%s/%u", directory, i);
        const int fd = open_it(path, 0);
        go_over(fd, path, 0, MIB + 37 * i, (uint64_t)i << 24);
        if (writes && i % 8 == 0 && fsync(fd))
            give_up(path, 0, -1);
        close(fd);
    }
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 7) {
        fputs("files write|check DIRECTORY FIRST END STEP VERSION\n"
              "files write|check DEVICE FIRST-MIB END-MIB VERSION\n",
              stderr);
        return 2;
    }
    const uint64_t first = strtoull(argv[3], NULL, 10);
    const uint64_t end = strtoull(argv[4], NULL, 10);
    writes = strcmp(argv[1], "write") == 0;
    version = strtoull(argv[argc - 1], NULL, 10);
    if (argc == 7) {
        go_over_files(argv[2], first, end, atoi(argv[5]));
    } else {
        const int fd = open_it(argv[2], O_DIRECT);
        go_over(fd, argv[2], first * MIB, end * MIB, first * (MIB / CONTENT_PAGE));
        close(fd);
    }
    return bad > 0;
}
