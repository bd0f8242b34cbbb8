/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "page.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57 /* Linux 5.6 */
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

bool process_be_flusher(void)
{
    return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0;
}

static const char oom_score_file[] = "/proc/self/oom_score_adj";

int process_oom_score_adj(void)
{
    char text[16] = "";
    int fd = open(oom_score_file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    if (read(fd, text, sizeof text - 1) < 0)
        text[0] = '\0';
    close(fd);
    return (int)strtol(text, NULL, 10);
}

bool process_be_spared(int score)
{
    char text[16];

    if (process_oom_score_adj() != 0)
        return true;
    int fd = open(oom_score_file, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    int length = snprintf(text, sizeof text, "%d", score);
    bool is_set = write(fd, text, (size_t)length) == length;
    close(fd);
    return is_set;
}

bool process_may_lock(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return true;

    /* Whether we have the capability to go past the limit shows by doing it. */
    size_t bytes = (size_t)limit.rlim_cur + PAGE_BYTES;
    void *probe = mmap(NULL, bytes, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (probe == MAP_FAILED)
        return false;
    bool may = mlock2(probe, bytes, MLOCK_ONFAULT) == 0;
    munmap(probe, bytes);
    return may;
}

/* Brings in the pages of every executable mapping; they are locked as they come. */
static void populate_code(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], executable;
    uintptr_t start, end;

    if (!maps)
        return;
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " r%*c%c", &start, &end,
                   &executable) == 3 &&
            executable == 'x')
            madvise((void *)start, end - start, MADV_POPULATE_READ);
    fclose(maps);
}

int process_lock(void)
{
    if (mlockall(MCL_CURRENT | MCL_ONFAULT) < 0)
        return -errno;
    populate_code();
    return 0;
}
