/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "backing.h"

#include <assert.h>
#include <blkid/blkid.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "block-format.h"

/* I/Os in the ring at a time; more wait in lists.  Of those that nobody waits for, a
 * device gets half as many: a fetch shall not stand behind a whole segment in pieces. */
#define RING_ENTRIES 128
#define RING_ENTRIES_OTHERS (RING_ENTRIES / 2)

struct list {
    struct backing_io *head, **end;
};

struct file {
    struct backing backing;
    int fd;
    bool is_device;
    bool ring_ready;

    struct lock lock; /* guards the ring's submission side and what is below */
    struct io_uring ring;
    unsigned in_ring;
    struct list urgent, others; /* that wait to get into the ring */

    int wake_fd; /* an eventfd that completions signal */
    struct event *wake;
};

/* -- Opening: everything that can be wrong with a path. -- */

static int refuse_errno(struct reason *reason, int err, const char *path,
                        const char *doing)
{
    return reason_say(reason, -err, "backing=%s: cannot %s: %s", path, doing,
                      strerror(err));
}

static int refuse_small(struct reason *reason, uint64_t bytes, const char *path)
{
    return reason_say(reason, -EINVAL,
                      "backing-size=%" PRIu64 ": too small; %s must offer at least "
                      "%u bytes",
                      bytes, path, BACKING_BYTES_MIN);
}

/* What is there, if it is something that somebody may want to keep. */
static int check_content(struct file *file, const char *path, struct reason *reason)
{
    union {
        struct backing_header header;
        unsigned char bytes[BACKING_ALIGN];
    } start;

    /* A plain read: the descriptor for I/O may be one that bypasses the cache. */
    ssize_t n = pread(file->fd, &start, sizeof start, 0);
    if (n < 0)
        return refuse_errno(reason, errno, path, "read it");
    if ((size_t)n >= sizeof start.header && backing_header_is_ours(&start.header))
        return 0;
    if (!file->is_device) {
        if (lseek(file->fd, 0, SEEK_DATA) >= 0)
            return reason_say(
                reason, -EEXIST,
                "backing=%s: the file is not empty and not zslot's; name "
                "another, or add backing-overwrite=true to lose what is in it",
                path);
        return 0;
    }

    const char *type = NULL;
    blkid_probe probe = blkid_new_probe();
    if (!probe)
        return reason_say(reason, -ENOMEM, "backing=%s: no memory to look at it", path);
    int found = 0;
    if (blkid_probe_set_device(probe, file->fd, 0, 0) == 0) {
        blkid_probe_enable_partitions(probe, 1);
        if (blkid_do_safeprobe(probe) != 1) {
            found = 1;
            if (blkid_probe_lookup_value(probe, "TYPE", &type, NULL) < 0 &&
                blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL) < 0)
                type = "something";
            reason_say(reason, -EEXIST,
                       "backing=%s: the device holds %s; name another, or add "
                       "backing-overwrite=true to lose what is on it",
                       path, type);
        }
    }
    blkid_free_probe(probe);
    return found ? -EEXIST : 0;
}

static int find_size(struct file *file, const char *path, uint64_t bytes,
                     uint64_t file_bytes, const struct stat *status,
                     struct reason *reason)
{
    uint64_t device_bytes;

    if (file->is_device) {
        if (ioctl(file->fd, BLKGETSIZE64, &device_bytes) < 0)
            return refuse_errno(reason, errno, path, "find its size");
        if (bytes > device_bytes)
            return reason_say(reason, -EINVAL,
                              "backing-size=%" PRIu64 ": %s has only %" PRIu64
                              " bytes; write less, or leave it out to use them all",
                              bytes, path, device_bytes);
        if (bytes == 0)
            bytes = device_bytes;
    } else {
        if (bytes == 0)
            bytes = file_bytes;
        if ((uint64_t)status->st_size < bytes && ftruncate(file->fd, (off_t)bytes) < 0)
            return refuse_errno(reason, errno, path,
                                "make it as large as backing-size");
    }
    if (bytes < BACKING_BYTES_MIN)
        return refuse_small(reason, bytes, path);
    file->backing.bytes = bytes / BACKING_ALIGN * BACKING_ALIGN;
    return 0;
}

static int open_path(struct file *file, const char *path, uint64_t bytes,
                     struct stat *status, struct reason *reason)
{
    bool exists = stat(path, status) == 0;

    if (!exists && errno != ENOENT)
        return refuse_errno(reason, errno, path, "look at it");
    if (!exists && bytes == 0)
        return reason_say(
            reason, -ENOENT,
            "backing=%s: there is no such file; add backing-size=SIZE to have it "
            "made",
            path);
    if (exists && S_ISDIR(status->st_mode))
        return reason_say(reason, -EISDIR,
                          "backing=%s: is a directory; name a file in it", path);
    if (exists && !S_ISREG(status->st_mode) && !S_ISBLK(status->st_mode))
        return reason_say(reason, -EINVAL,
                          "backing=%s: is neither a regular file nor a block device; "
                          "name one",
                          path);
    /* Before a file is made for nothing. */
    if (bytes > 0 && bytes < BACKING_BYTES_MIN)
        return refuse_small(reason, bytes, path);

    /* O_EXCL on a block device: not while it is mounted, or swap, or part of
     * another. */
    file->is_device = exists && S_ISBLK(status->st_mode);
    int flags = O_RDWR | O_CLOEXEC |
                (file->is_device ? O_EXCL
                 : exists        ? 0
                                 : O_CREAT | O_EXCL);
    file->fd = open(path, flags, 0600);
    if (file->fd < 0 && errno == EBUSY)
        return reason_say(reason, -EBUSY,
                          "backing=%s: the device is mounted or otherwise in use; "
                          "name another",
                          path);
    if (file->fd < 0)
        return refuse_errno(reason, errno, path, "open it for writing");
    if (flock(file->fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? reason_say(reason, -EBUSY,
                                "backing=%s: in use by another zslot; name another "
                                "file, or stop that one",
                                path)
                   : refuse_errno(reason, errno, path, "lock it");
    if (fstat(file->fd, status) < 0)
        return refuse_errno(reason, errno, path, "look at it");
    return 0;
}

static void file_close(struct backing *backing)
{
    struct file *file = (struct file *)backing;

    assert(file->in_ring == 0);
    if (file->wake)
        event_free(file->wake);
    if (file->ring_ready)
        io_uring_queue_exit(&file->ring);
    if (file->wake_fd >= 0)
        close(file->wake_fd);
    if (file->fd >= 0)
        close(file->fd);
    lock_destroy(&file->lock);
    free(file);
}

/* -- I/O. -- */

static void prepare_locked(struct file *file, struct backing_io *io)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&file->ring);
    unsigned left = io->bytes - io->moved;
    uint64_t offset = io->offset + io->moved;

    assert(sqe); /* RING_ENTRIES bounds in_ring, and each is submitted at once */
    switch (io->op) {
    case BACKING_READ:
        io_uring_prep_read(sqe, file->fd, (char *)io->buffer + io->moved, left, offset);
        break;
    case BACKING_WRITE:
        io_uring_prep_write(sqe, file->fd, (char *)io->buffer + io->moved, left,
                            offset);
        break;
    case BACKING_DISCARD:
        io_uring_prep_fallocate(sqe, file->fd,
                                FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                (off_t)io->offset, io->bytes);
        break;
    }
    io_uring_sqe_set_data(sqe, io);
    file->in_ring++;
    /* EINTR and EAGAIN leave it in the submission queue, which the next call takes
     * along; the wake-up makes sure that there is one. */
    if (io_uring_submit(&file->ring) < 0)
        eventfd_write(file->wake_fd, 1);
}

static void append(struct list *list, struct backing_io *io)
{
    io->next = NULL;
    *list->end = io;
    list->end = &io->next;
}

static struct backing_io *take_first(struct list *list)
{
    struct backing_io *io = list->head;

    list->head = io->next;
    if (!list->head)
        list->end = &list->head;
    return io;
}

/* Puts into the ring what waits and may. */
static void prepare_waiting_locked(struct file *file)
{
    while (file->urgent.head && file->in_ring < RING_ENTRIES)
        prepare_locked(file, take_first(&file->urgent));
    while (file->others.head && file->in_ring < RING_ENTRIES_OTHERS)
        prepare_locked(file, take_first(&file->others));
}

static void file_submit(struct backing *backing, struct backing_io *io)
{
    struct file *file = (struct file *)backing;
    LOCK_FOR_SCOPE(&file->lock);

    append(io->urgent ? &file->urgent : &file->others, io);
    prepare_waiting_locked(file);
}

/* What became of IO.  False: the rest of it must be submitted. */
static bool is_finished(struct backing_io *io, int moved, int *result)
{
    *result = 0;
    if (io->op == BACKING_DISCARD) {
        /* Space that cannot be given back is used again all the same. */
        if (moved < 0 && moved != -EOPNOTSUPP && moved != -EINTR)
            *result = moved;
        return true;
    }
    /* Cancelled: the thread that submitted it has ended before it was begun. */
    if (moved == -EINTR || moved == -EAGAIN || moved == -ECANCELED)
        return false;
    if (moved <= 0) {
        *result =
            moved < 0 ? moved : -EIO; /* past the end: somebody truncated the file */
        return true;
    }
    io->moved += (uint32_t)moved;
    return io->moved == io->bytes;
}

static void on_wake(evutil_socket_t fd, short what, void *opaque)
{
    struct file *file = opaque;
    eventfd_t ignored;

    (void)what;
    eventfd_read((int)fd, &ignored);
    for (;;) {
        struct io_uring_cqe *cqe;
        struct backing_io *io = NULL;
        int result = 0;

        {
            LOCK_FOR_SCOPE(&file->lock);
            if (io_uring_sq_ready(&file->ring))
                io_uring_submit(&file->ring);
            if (io_uring_peek_cqe(&file->ring, &cqe) < 0)
                return;
            io = io_uring_cqe_get_data(cqe);
            bool finished = is_finished(io, cqe->res, &result);
            io_uring_cqe_seen(&file->ring, cqe);
            file->in_ring--;
            if (!finished) {
                prepare_locked(file, io);
                continue;
            }
            prepare_waiting_locked(file);
        }
        io->done(io, result);
    }
}

static int file_start(struct backing *backing, struct event_base *base)
{
    struct file *file = (struct file *)backing;
    int r = io_uring_queue_init(RING_ENTRIES, &file->ring, 0);

    if (r < 0)
        return r;
    file->ring_ready = true;
    r = io_uring_register_eventfd(&file->ring, file->wake_fd);
    if (r < 0)
        return r;
    file->wake = event_new(base, file->wake_fd, EV_READ | EV_PERSIST, on_wake, file);
    if (!file->wake || event_add(file->wake, NULL) < 0)
        return -ENOMEM;
    return 0;
}

static const struct backing_ops file_ops = {
    .name = "file",
    .start = file_start,
    .submit = file_submit,
    .close = file_close,
};

int backing_file_open(const char *path, uint64_t bytes, uint64_t file_bytes,
                      bool overwrite, struct backing **backing, struct reason *reason)
{
    struct file *file = calloc(1, sizeof *file);
    struct stat status;
    int r;

    if (!file)
        return reason_say(reason, -ENOMEM, "backing=%s: no memory", path);
    file->backing.ops = &file_ops;
    file->fd = file->wake_fd = -1;
    file->urgent.end = &file->urgent.head;
    file->others.end = &file->others.head;
    lock_init(&file->lock, LOCK_RANK_BACKING);

    if ((r = open_path(file, path, bytes, &status, reason)) < 0 ||
        (!overwrite && (r = check_content(file, path, reason)) < 0) ||
        (r = find_size(file, path, bytes, file_bytes, &status, reason)) < 0)
        goto failed;

    /* Pages that leave memory shall not stay in the page cache.  File systems without
     * direct I/O refuse; then they do. */
    int fl = fcntl(file->fd, F_GETFL);
    if (fl >= 0)
        (void)!fcntl(file->fd, F_SETFL, fl | O_DIRECT);

    file->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (file->wake_fd < 0) {
        r = refuse_errno(reason, errno, path, "make an eventfd");
        goto failed;
    }
    *backing = &file->backing;
    return 0;

failed:
    file_close(&file->backing);
    return r;
}
