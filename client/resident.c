/* resident.c - a process that works while the kernel has no memory, and that can be found
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "resident.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER /* Linux 5.6 */
#define PR_SET_IO_FLUSHER 57
#endif

static int log_fd = -1;
static uint32_t device;

static int open_lock(uint32_t index, int flags, char *path, size_t path_bytes)
{
    snprintf(path, path_bytes, "/run/zslot-attach-nbd%u.pid", index);
    return open(path, flags | O_RDWR | O_CLOEXEC, 0644);
}

static bool is_at(int fd, const char *path)
{
    struct stat file, there;

    return fstat(fd, &file) == 0 && stat(path, &there) == 0 &&
           file.st_dev == there.st_dev && file.st_ino == there.st_ino;
}

int resident_lock(uint32_t index, struct why *why)
{
    char path[64];
    const int fd = open_lock(index, O_CREAT, path, sizeof path);

    if (fd < 0)
        return why_set(why, "%s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        close(fd);
        return why_set(why, "another zslot-attach looks after /dev/nbd%u", index);
    }
    /* resident_end() may have removed it between, and nobody would find this one. */
    if (!is_at(fd, path)) {
        close(fd);
        return resident_lock(index, why);
    }
    /* The number of one that has ended may be anybody's by now. */
    if (ftruncate(fd, 0)) {
        close(fd);
        return why_set(why, "%s: %s", path, strerror(errno));
    }
    return fd;
}

void resident_sign(int lock)
{
    char text[16];
    const int length = snprintf(text, sizeof text, "%d\n", getpid());

    if (ftruncate(lock, 0) || pwrite(lock, text, length, 0) != length)
        resident_log("cannot write its process number: %s", strerror(errno));
}

int resident_end(uint32_t index, struct why *why)
{
    char path[64], text[16] = "";
    const int fd = open_lock(index, 0, path, sizeof path);

    if (fd < 0)
        return errno == ENOENT ? 0 : why_set(why, "%s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        const ssize_t length = pread(fd, text, sizeof text - 1, 0);
        const pid_t pid = length > 0 ? atoi(text) : 0;
        if (pid <= 1) {
            close(fd);
            return why_set(
                why, "another zslot-attach is about to look after /dev/nbd%u", index);
        }
        if (kill(pid, SIGTERM) && errno != ESRCH) {
            close(fd);
            return why_set(why, "cannot end the process that looks after /dev/nbd%u",
                           index);
        }
        /* When it is gone its lock is. */
        while (flock(fd, LOCK_EX) && errno == EINTR)
            ;
    }
    unlink(path);
    close(fd);
    return 0;
}

void resident_log(const char *format, ...)
{
    char line[400];
    va_list arguments;

    int length = snprintf(line, sizeof line, "<4>zslot-attach: nbd%u: ", device);
    va_start(arguments, format);
    length += vsnprintf(line + length, sizeof line - length, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2)
        length = sizeof line - 2;
    /* A server's words may be anything; a record is one line. */
    for (int i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ')
            line[i] = ' ';
    /* Without it the kernel waits for the rest of the line. */
    line[length++] = '\n';
    if (log_fd >= 0)
        (void)!write(log_fd, line, length);
}

static void spare_from_oom(void)
{
    const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, "-1000", 5) != 5)
        resident_log("it may be killed when memory is short: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
}

void resident_become(uint32_t index)
{
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    device = index;
    log_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    setsid();
    if (chdir("/"))
        resident_log("cannot leave its directory: %s", strerror(errno));
    if (null >= 0)
        for (int fd = 0; fd <= 2; fd++)
            dup2(null, fd);
    spare_from_oom();
    if (mlockall(MCL_CURRENT | MCL_FUTURE))
        resident_log("it is not locked in RAM: %s", strerror(errno));
    if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0))
        resident_log("it may wait for memory: PR_SET_IO_FLUSHER: %s", strerror(errno));
}
