/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "pid-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "predecessor.h"
#include "same-file.h"

#define CONTENT_BYTES_MAX 32

static int refuse_errno(struct reason *reason, int err, const char *path)
{
    if (err == ENOENT)
        return reason_say(reason, -err,
                          "pid-file=%s: its directory does not exist; make it first",
                          path);
    return reason_say(reason, -err,
                      "pid-file=%s: cannot be written: %s; write a path at which this "
                      "user can make a file, or leave it out",
                      path, strerror(err));
}

/* The process in the file; 0 if it is empty; -1 if something else is in it. */
static long read_process(int fd)
{
    char text[CONTENT_BYTES_MAX + 1], *end;
    ssize_t n = pread(fd, text, sizeof text, 0);

    if (n < 0 || n == sizeof text)
        return -1;
    text[n] = '\0';
    long process = strtol(text, &end, 10);
    bool is_all = end + strspn(end, " \n") == text + n;
    return is_all && process >= 0 ? process : -1;
}

static int refuse_locked(const struct pid_file *file, struct reason *reason)
{
    long process = read_process(file->fd);
    char who[64] = "another server";

    if (process > 0)
        snprintf(who, sizeof who, "the server that is process %ld", process);
    return reason_say(reason, -EBUSY,
                      "pid-file=%s: %s has it; write another path, or stop that one",
                      file->path, who);
}

static int check_content(const struct pid_file *file, struct reason *reason)
{
    struct stat what;

    if (fstat(file->fd, &what) < 0)
        return refuse_errno(reason, errno, file->path);
    if (!S_ISREG(what.st_mode) || read_process(file->fd) < 0)
        return reason_say(
            reason, -EEXIST,
            "pid-file=%s: what is there is not a process's id, and stays; "
            "write a path at which there is nothing",
            file->path);
    return 0;
}

static int lock_patiently(int fd)
{
    struct predecessor predecessor = {0};

    while (flock(fd, LOCK_EX | LOCK_NB) < 0)
        if (errno != EWOULDBLOCK || !predecessor_wait(&predecessor))
            return -errno;
    return 0;
}

static int open_once(struct pid_file *file, struct reason *reason)
{
    static const int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    struct stat link;

    file->fd = open(file->path, flags | O_CREAT | O_EXCL, 0666);
    file->is_ours = file->fd >= 0;
    if (file->fd < 0 && errno == EEXIST) {
        file->fd = open(file->path, flags);
        if (file->fd < 0 && errno == ENOENT && lstat(file->path, &link) < 0)
            return -EAGAIN; /* taken away meanwhile */
    }
    if (file->fd < 0)
        return refuse_errno(reason, errno, file->path);
    int r = lock_patiently(file->fd);
    if (r == -EWOULDBLOCK)
        r = refuse_locked(file, reason);
    else if (r < 0) {
        if (file->is_ours)
            unlink(file->path);
        r = refuse_errno(reason, -r, file->path);
    } else if (!same_file_is_at(file->fd, file->path, 0))
        r = -EAGAIN; /* who had it has taken it away between our open and our lock */
    else if (!file->is_ours)
        r = check_content(file, reason);
    if (r < 0)
        close(file->fd);
    return r;
}

int pid_file_open(struct pid_file *file, const char *path, struct reason *reason)
{
    int r;

    file->path = path;
    do
        r = open_once(file, reason);
    while (r == -EAGAIN);
    if (r < 0)
        file->path = NULL;
    return r;
}

int pid_file_write(struct pid_file *file, struct reason *reason)
{
    char text[CONTENT_BYTES_MAX];
    int bytes = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    if (!file->path)
        return 0;
    /* Who waits until something is in it finds all of it. */
    ssize_t n = pwrite(file->fd, text, (size_t)bytes, 0);
    if (n != bytes || ftruncate(file->fd, bytes) < 0)
        return refuse_errno(reason, n >= 0 && n != bytes ? ENOSPC : errno, file->path);
    file->is_ours = true;
    return 0;
}

void pid_file_close(struct pid_file *file)
{
    if (!file->path)
        return;
    /* While it is locked: nobody else has it yet.  A link to it is somebody's, and stays. */
    if (file->is_ours && same_file_is_at(file->fd, file->path, AT_SYMLINK_NOFOLLOW))
        unlink(file->path);
    else if (file->is_ours)
        (void)!ftruncate(file->fd, 0);
    close(file->fd);
    file->path = NULL;
}
