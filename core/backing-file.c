/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "backing.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "block-format.h"
#include "file-ring.h"
#include "parse.h"
#include "same-file.h"

/* What is in use is tried again after so long. */
#define BUSY_STEP_MS 20

struct file {
    struct backing backing;
    int fd;
    bool is_device;
    /* Until it is in use: the absolute path of a file that we made, and else how long a file was that
     * we made longer, or -1. */
    char *made_path;
    off_t former_bytes, longer_bytes;
    struct file_rings rings;
};

/* -- Opening: everything that can be wrong with a path. -- */

static int refuse_errno(struct reason *reason, int err, const char *path,
                        const char *doing)
{
    return reason_say(reason, -err, "backing=%s: cannot %s: %s; %s", path, doing,
                      strerror(err),
                      err == EACCES || err == EPERM || err == EROFS
                          ? "name one that this user may write to"
                          : "name another");
}

/* How much of a file is used. */
static uint64_t file_bytes(const struct backing_terms *terms)
{
    return terms->bytes ? terms->bytes : terms->file_bytes;
}

static int check_file_bytes(const char *path, const struct backing_terms *terms,
                            struct reason *reason)
{
    uint64_t bytes = file_bytes(terms);

    if (bytes >= BACKING_BYTES_MIN)
        return 0;
    if (terms->bytes)
        return backing_refuse_small(path, terms, bytes, reason);
    return reason_say(
        reason, -EINVAL,
        "backing=%s: too small when it is as large as the disk, %s; write "
        "at least backing-size=%s",
        path, parse_text_of_size(bytes).text,
        parse_text_of_size(BACKING_BYTES_MIN).text);
}

static int refuse_growth(int err, const char *path, const struct backing_terms *terms,
                         struct reason *reason)
{
    if (terms->bytes)
        return reason_say(reason, -err,
                          "%s: %s cannot be made so large: %s; write less, or name a "
                          "file on another file system",
                          backing_size_text(terms).text, path, strerror(err));
    return reason_say(
        reason, -err,
        "backing=%s: cannot be made as large as the disk, %s: %s; write "
        "backing-size=SIZE with less, or name a file on another file system",
        path, parse_text_of_size(terms->file_bytes).text, strerror(err));
}

/* What is there, if it is something that somebody may want to keep. */
static int check_content(struct file *file, const char *path, bool overwrite,
                         struct reason *reason)
{
    unsigned char start[BACKING_ALIGN];

    /* A plain read: the descriptor for I/O may be one that bypasses the cache. */
    ssize_t n = pread(file->fd, start, sizeof start, 0);
    if (n < 0)
        return refuse_errno(reason, errno, path, "read it");
    backing_note_start(&file->backing, start, (size_t)n);
    if (file->backing.has_identity || overwrite)
        return 0;
    /* Those who look for signatures know of none of ours. */
    if (file->is_device ? backing_later_format(start, (size_t)n) != 0
                        : lseek(file->fd, 0, SEEK_DATA) >= 0)
        return backing_refuse_content(path, "the file", start, (size_t)n, reason);
    if (!file->is_device)
        return 0;

    const char *type = NULL;
    blkid_probe probe = blkid_new_probe();
    if (!probe)
        return reason_say(reason, -ENOMEM, "backing=%s: no memory to look at it", path);
    bool is_blank = false;
    if (blkid_probe_set_device(probe, file->fd, 0, 0) < 0)
        type = "what cannot be looked at";
    else {
        blkid_probe_enable_partitions(probe, 1);
        is_blank = blkid_do_safeprobe(probe) == 1;
        if (!is_blank && blkid_probe_lookup_value(probe, "TYPE", &type, NULL) < 0 &&
            blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL) < 0)
            type = "something";
    }
    int r = is_blank
                ? 0
                : reason_say(reason, -EEXIST,
                             "backing=%s: the device holds %s; name another, or add "
                             "backing-overwrite=true to lose what is on it",
                             path, type);
    blkid_free_probe(probe);
    return r;
}

static int find_size(struct file *file, const char *path,
                     const struct backing_terms *terms, const struct stat *status,
                     struct reason *reason)
{
    uint64_t bytes = terms->bytes, device_bytes;

    if (file->is_device) {
        if (ioctl(file->fd, BLKGETSIZE64, &device_bytes) < 0)
            return refuse_errno(reason, errno, path, "find its size");
        if (bytes > device_bytes)
            return backing_refuse_large(path, terms, device_bytes, reason);
        if (bytes == 0)
            bytes = device_bytes;
        if (bytes < BACKING_BYTES_MIN)
            return backing_refuse_small(path, terms, bytes, reason);
    } else {
        bytes = file_bytes(terms);
        if ((uint64_t)status->st_size < bytes) {
            if (ftruncate(file->fd, (off_t)bytes) < 0)
                return refuse_growth(errno, path, terms, reason);
            file->former_bytes = status->st_size;
            file->longer_bytes = (off_t)bytes;
        }
    }
    file->backing.bytes = bytes / BACKING_ALIGN * BACKING_ALIGN;
    return 0;
}

static int refuse_lock(int err, const char *path, struct reason *reason)
{
    if (err == EWOULDBLOCK)
        return reason_say(reason, -EBUSY,
                          "backing=%s: in use by another zslot; name another file, or "
                          "stop that one",
                          path);
    return refuse_errno(reason, err, path, "lock it");
}

static void wait_a_little(unsigned *left_ms)
{
    static const struct timespec step = {.tv_nsec = BUSY_STEP_MS * 1000000L};

    nanosleep(&step, NULL);
    *left_ms -= *left_ms < BUSY_STEP_MS ? *left_ms : BUSY_STEP_MS;
}

/* Before a file is made for nothing. */
static int check_missing(const char *path, const struct backing_terms *terms,
                         struct reason *reason)
{
    static const char devices[] = "/dev/", shm[] = "/dev/shm/";

    /* A file there would be in RAM, and no mistake that somebody sees soon. */
    if (strncmp(path, devices, strlen(devices)) == 0 &&
        strncmp(path, shm, strlen(shm)) != 0)
        return reason_say(reason, -ENOENT,
                          "backing=%s: there is no such device; name one that there "
                          "is, or a file elsewhere",
                          path);
    /* A name with a mistake in it would be a new file, and the old one's pages elsewhere. */
    if (!terms->bytes)
        return reason_say(
            reason, -ENOENT,
            "backing=%s: there is no such file; add backing-size=SIZE to have it "
            "made",
            path);
    return 0;
}

/* What is at the path: *EXISTS, and STATUS of it. */
static int look(struct file *file, const char *path, const struct backing_terms *terms,
                bool *exists, struct stat *status, struct reason *reason)
{
    int r = 0;

    *exists = stat(path, status) == 0;
    if (!*exists && errno != ENOENT)
        return refuse_errno(reason, errno, path, "look at it");
    if (!*exists && (r = check_missing(path, terms, reason)) < 0)
        return r;
    if (*exists && S_ISDIR(status->st_mode))
        return reason_say(reason, -EISDIR,
                          "backing=%s: is a directory; name a file in it", path);
    if (*exists && !S_ISREG(status->st_mode) && !S_ISBLK(status->st_mode))
        return reason_say(reason, -EINVAL,
                          "backing=%s: is neither a regular file nor a block device; "
                          "name one",
                          path);
    file->is_device = *exists && S_ISBLK(status->st_mode);
    return file->is_device ? 0 : check_file_bytes(path, terms, reason);
}

/* Why it cannot be opened, of something that was there or not.  -EAGAIN: look again. */
static int refuse_open(int err, const char *path, bool existed, struct reason *reason)
{
    struct stat link;

    if (err == EBUSY)
        return reason_say(reason, -EBUSY,
                          "backing=%s: the device is mounted or otherwise in use; "
                          "name another",
                          path);
    if (err == ENOENT && existed)
        return -EAGAIN; /* taken away meanwhile */
    if (err == ENOENT)
        return reason_say(reason, -ENOENT,
                          "backing=%s: its directory does not exist; make it first",
                          path);
    if (err == EEXIST && lstat(path, &link) == 0 && S_ISLNK(link.st_mode))
        return reason_say(reason, -EEXIST,
                          "backing=%s: a link to what does not exist; name the file "
                          "itself, or take the link away",
                          path);
    if (err == EEXIST)
        return -EAGAIN; /* made meanwhile */
    return refuse_errno(reason, err, path, existed ? "open it for writing" : "make it");
}

/* -EAGAIN: look again, after a while if *BUSY. */
static int open_once(struct file *file, const char *path,
                     const struct backing_terms *terms, struct stat *status, bool *busy,
                     struct reason *reason)
{
    bool exists;
    int r = look(file, path, terms, &exists, status, reason);
    if (r < 0)
        return r;

    /* O_EXCL on a block device: not while it is mounted, or swap, or part of
     * another. */
    int flags = O_RDWR | O_CLOEXEC |
                (file->is_device ? O_EXCL
                 : exists        ? 0
                                 : O_CREAT | O_EXCL);
    file->fd = open(path, flags, 0600);
    if (file->fd < 0) {
        *busy = errno == EBUSY;
        return refuse_open(errno, path, exists, reason);
    }
    if (flock(file->fd, LOCK_EX | LOCK_NB) < 0) {
        *busy = errno == EWOULDBLOCK;
        return refuse_lock(errno, path, reason);
    }
    if (!same_file_is_at(file->fd, path, 0))
        return -EAGAIN; /* taken away between our open and our lock */
    if (flags & O_CREAT)
        file->made_path = realpath(path, NULL); /* that of now: there may be a fork */
    return fstat(file->fd, status) < 0 ? refuse_errno(reason, errno, path, "look at it")
                                       : 0;
}

static int open_path(struct file *file, const char *path,
                     const struct backing_terms *terms, struct stat *status,
                     struct reason *reason)
{
    unsigned busy_ms = terms->busy_ms;

    for (;;) {
        bool busy = false;
        int r = open_once(file, path, terms, status, &busy, reason);

        if (r == 0 || (r != -EAGAIN && !(busy && busy_ms > 0)))
            return r;
        if (file->fd >= 0)
            close(file->fd);
        file->fd = -1;
        if (busy)
            wait_a_little(&busy_ms);
    }
}

/* -- I/O. -- */

static int file_start(struct backing *backing, struct event_base *base)
{
    return file_rings_start(&((struct file *)backing)->rings, base);
}

static void file_keep(struct backing *backing)
{
    struct file *file = (struct file *)backing;

    free(file->made_path);
    file->made_path = NULL;
    file->former_bytes = -1;
}

static void file_submit(struct backing *backing, struct backing_io *io)
{
    file_rings_submit(&((struct file *)backing)->rings, io);
}

static bool file_wait(struct backing *backing, struct backing_io *io,
                      const struct timespec *deadline)
{
    return file_rings_wait(&((struct file *)backing)->rings, io, deadline);
}

/* Longer, with nothing in what is new: by nobody who knows of no lock. */
static bool is_as_we_made_it(const struct file *file)
{
    struct stat now;

    if (fstat(file->fd, &now) < 0 || now.st_size != file->longer_bytes)
        return false;
    /* A file system knows of whole blocks only. */
    off_t behind =
        (file->former_bytes + now.st_blksize - 1) / now.st_blksize * now.st_blksize;
    return lseek(file->fd, behind, SEEK_DATA) < 0 && errno == ENXIO;
}

/* A start that is refused, for this or anything else, leaves no file behind, and none longer than it
 * was. */
static void let_go(struct file *file)
{
    if (file->made_path &&
        same_file_is_at(file->fd, file->made_path, AT_SYMLINK_NOFOLLOW))
        unlink(file->made_path);
    else if (file->former_bytes >= 0 && is_as_we_made_it(file))
        (void)!ftruncate(file->fd, file->former_bytes);
    free(file->made_path);
    if (file->fd >= 0)
        close(file->fd);
    free(file);
}

static void file_close(struct backing *backing)
{
    struct file *file = (struct file *)backing;

    file_rings_close(&file->rings);
    let_go(file);
}

/* A file says where it has data; of a device nobody knows, but that it was ours. */
static bool file_next_content(struct backing *backing, uint64_t at, uint64_t *start,
                              uint64_t *end)
{
    const struct file *file = (const struct file *)backing;

    if (at >= backing->bytes || (file->is_device && !backing->has_identity))
        return false;
    *start = at;
    *end = backing->bytes;
    if (file->is_device)
        return true;
    off_t data = lseek(file->fd, (off_t)at, SEEK_DATA);
    if (data < 0)
        return errno != ENXIO; /* it does not say */
    off_t hole = lseek(file->fd, data, SEEK_HOLE);
    *start = (uint64_t)data;
    if (hole >= 0 && (uint64_t)hole < backing->bytes)
        *end = (uint64_t)hole;
    return *start < *end;
}

static const struct backing_ops file_ops = {
    .name = "file",
    .start = file_start,
    .keep = file_keep,
    .submit = file_submit,
    .wait = file_wait,
    .next_content = file_next_content,
    .close = file_close,
};

/* Before a fork, when it can still be said. */
static int check_rings(const char *path, struct reason *reason)
{
    int r = file_rings_try();

    switch (r) {
    case 0:
        return 0;
    case -EPERM:
    case -EACCES:
        return reason_say(
            reason, r,
            "backing=%s: this process may not use io_uring: see the sysctl "
            "kernel.io_uring_disabled, and the seccomp filter if it is in a "
            "container; or write backing=nbd://..., which does not need it",
            path);
    case -ENOSYS:
        return reason_say(
            reason, r,
            "backing=%s: this kernel has no io_uring, or a seccomp filter hides "
            "it; Linux 5.6 and later have it; or write backing=nbd://..., which "
            "does not need it",
            path);
    default:
        return refuse_errno(reason, -r, path, "set up io_uring");
    }
}

int backing_file_open(const char *path, const struct backing_terms *terms,
                      struct backing **backing, struct reason *reason)
{
    struct file *file = calloc(1, sizeof *file);
    struct stat status;
    int r;

    if (!file)
        return reason_say(reason, -ENOMEM, "backing=%s: no memory", path);
    file->backing.ops = &file_ops;
    file->fd = -1;
    file->former_bytes = -1;

    if ((r = check_rings(path, reason)) < 0 ||
        (r = open_path(file, path, terms, &status, reason)) < 0 ||
        (r = check_content(file, path, terms->overwrite, reason)) < 0 ||
        (r = find_size(file, path, terms, &status, reason)) < 0)
        goto failed;

    /* Pages that leave memory shall not stay in the page cache.  File systems without
     * direct I/O refuse; then they do. */
    int fl = fcntl(file->fd, F_GETFL);
    if (fl >= 0)
        (void)!fcntl(file->fd, F_SETFL, fl | O_DIRECT);

    r = file_rings_open(&file->rings, file->fd);
    if (r < 0) {
        refuse_errno(reason, -r, path, "make an eventfd");
        file_rings_close(&file->rings);
        goto failed;
    }
    *backing = &file->backing;
    return 0;

failed:
    let_go(file);
    return r;
}
