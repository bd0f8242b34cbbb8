/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "page.h"
#include "predecessor.h"
#include "same-file.h"

#define HEADER "zslot-header"
#define NEW_HEADER "zslot-header.new"
#define WRITES "zslot-writes"

static const char magic[8] = "zslotst";

static const char *const files[] = {NEW_HEADER, "zslot-slots", "zslot-pool", WRITES};

/* Empty or missing, these would be taken for those of a disk without pages. */
static const char *const kept_files[] = {"zslot-slots", "zslot-pool"};

static uint64_t checksum(const struct state_header *header)
{
    return XXH3_64bits(header, offsetof(struct state_header, checksum));
}

static int refuse_errno(struct reason *reason, int err, const char *path,
                        const char *doing)
{
    return reason_say(reason, -err, "state=%s: cannot %s: %s; name %s", path, doing,
                      strerror(err),
                      err == EACCES || err == EPERM || err == EROFS
                          ? "a directory that this user can write to"
                          : "another directory");
}

/* -- The directory. -- */

/* A process that was just killed keeps the lock until it is gone. */
static int lock(const struct state *state, struct reason *reason)
{
    struct predecessor predecessor = {0};

    while (flock(state->directory, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return refuse_errno(reason, errno, state->path, "lock it");
        if (!predecessor_wait(&predecessor))
            return reason_say(reason, -EBUSY,
                              "state=%s: in use by another zslot; stop that one, or "
                              "name another directory",
                              state->path);
    }
    return 0;
}

/* -EAGAIN: once more. */
static int open_directory(struct state *state, struct reason *reason)
{
    const char *path = state->path;
    struct statfs where;
    struct stat link;

    if (mkdir(path, 0700) == 0)
        state->made_path = realpath(path, NULL); /* that of now: there may be a fork */
    else if (errno == ENOENT)
        return reason_say(reason, -ENOENT,
                          "state=%s: cannot make this directory: the one that it is to "
                          "be in does not exist; make that first",
                          path);
    else if (errno != EEXIST)
        return refuse_errno(reason, errno, path, "make this directory");
    state->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (state->directory < 0 && errno == ENOTDIR)
        return reason_say(reason, -ENOTDIR,
                          "state=%s: not a directory; name one on a tmpfs", path);
    if (state->directory < 0 && errno == ENOENT && lstat(path, &link) < 0)
        return -EAGAIN; /* taken away meanwhile */
    if (state->directory < 0)
        return refuse_errno(reason, errno, path, "open it");
    if (faccessat(state->directory, ".", W_OK | X_OK, AT_EACCESS) < 0)
        return refuse_errno(reason, errno, path, "write in it");
    if (fstatfs(state->directory, &where) < 0)
        return refuse_errno(reason, errno, path, "see what it is on");
    state->is_on_disk = where.f_type != TMPFS_MAGIC;
    int r = lock(state, reason);
    /* Whoever made it may have taken it away, refused, while we waited for its lock. */
    return r == 0 && !same_file_is_at(state->directory, path, 0) ? -EAGAIN : r;
}

/* -- The header. -- */

/* 0 and HEADER, or -ENOENT: there is none. */
static int read_header(struct state *state, struct reason *reason)
{
    int fd = openat(state->directory, HEADER, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return -ENOENT;
    if (fd < 0)
        return refuse_errno(reason, errno, state->path, "open " HEADER);
    ssize_t n = pread(fd, &state->header, sizeof state->header, 0);
    int err = errno;
    close(fd);
    if (n < 0)
        return refuse_errno(reason, err, state->path, "read " HEADER);
    if ((size_t)n < offsetof(struct state_header, page_bytes) ||
        memcmp(state->header.magic, magic, sizeof magic) != 0)
        return reason_say(reason, -EUCLEAN,
                          "state=%s: " HEADER
                          " there is not zslot's; name another directory, or "
                          "delete what is in it",
                          state->path);
    if (state->header.format != STATE_FORMAT)
        return reason_say(reason, -EINVAL,
                          "state=%s: of format %" PRIu32
                          ", and this zslot knows format %u; start it with the zslot "
                          "that made it, or name another directory",
                          state->path, state->header.format, STATE_FORMAT);
    if ((size_t)n < sizeof state->header ||
        state->header.checksum != checksum(&state->header))
        return reason_say(reason, -EUCLEAN,
                          "state=%s: " HEADER
                          " is damaged; name another directory, or delete what is "
                          "in it, which loses the pages",
                          state->path);
    return 0;
}

static int check_header(const struct state *state, uint64_t size, struct reason *reason)
{
    const struct state_header *header = &state->header;

    if (header->page_bytes != PAGE_BYTES)
        return reason_say(reason, -EINVAL,
                          "state=%s: has pages of %" PRIu32
                          " bytes, and here they have %u; start it with the zslot that "
                          "made it, or name another directory",
                          state->path, header->page_bytes, PAGE_BYTES);
    if (header->size != size)
        return reason_say(reason, -EINVAL,
                          "state=%s: holds a disk of %" PRIu64 " bytes, not of %" PRIu64
                          "; write size=%" PRIu64 ", or name another directory",
                          state->path, header->size, size, header->size);
    return 0;
}

static int check_files(const struct state *state, struct reason *reason)
{
    struct stat status;

    for (unsigned i = 0; i < sizeof kept_files / sizeof *kept_files; i++)
        if (fstatat(state->directory, kept_files[i], &status, AT_SYMLINK_NOFOLLOW) <
                0 ||
            status.st_size == 0)
            return reason_say(
                reason, -EUCLEAN,
                "state=%s: damaged: %s is missing or empty; name another "
                "directory, or delete what is in it, which loses the pages",
                state->path, kept_files[i]);
    return 0;
}

/* Of the system, since it was started; 0 if it does not say. */
static uint32_t boot_hash(void)
{
    char id[64];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, id, sizeof id);

    if (fd >= 0)
        close(fd);
    return n > 0 ? (uint32_t)XXH3_64bits(id, (size_t)n) : 0;
}

static int check_boot(const struct state *state, struct reason *reason)
{
    if (!state->is_on_disk || state->header.boot == boot_hash())
        return 0;
    return reason_say(
        reason, -EUCLEAN,
        "state=%s: not on a tmpfs, and the system was started again since: "
        "what the disk has may be of several moments; name another "
        "directory, or delete what is in it, which loses the pages",
        state->path);
}

/* Writes the header to a file of that name, all at once. */
static int write_header(struct state *state, const char *name, int flags)
{
    int fd =
        openat(state->directory, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        return -errno;
    state->header.checksum = checksum(&state->header);
    ssize_t n = pwrite(fd, &state->header, sizeof state->header, 0);
    int r = n == (ssize_t)sizeof state->header ? 0 : n < 0 ? -errno : -EIO;
    close(fd);
    return r;
}

/* -- Life. -- */

/* What a first start has left that did not come to its end. */
static int clear(const struct state *state, struct reason *reason)
{
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
        if (unlinkat(state->directory, files[i], 0) < 0 && errno != ENOENT)
            return refuse_errno(reason, errno, state->path,
                                "delete what an unfinished start left there");
    return 0;
}

int state_open(struct state *state, const char *path, uint64_t size,
               struct reason *reason)
{
    *state = (struct state){.path = path, .directory = -1};
    int r;
    while ((r = open_directory(state, reason)) == -EAGAIN)
        state_close(state);
    if (r == 0)
        r = read_header(state, reason);
    if (r == 0) {
        state->kept = true;
        state->had_writes = faccessat(state->directory, WRITES, F_OK, 0) == 0;
        if ((r = check_header(state, size, reason)) == 0 &&
            (r = check_files(state, reason)) == 0)
            r = check_boot(state, reason);
    } else if (r == -ENOENT && state->directory >= 0) {
        state->header = (struct state_header){
            .format = STATE_FORMAT,
            .page_bytes = PAGE_BYTES,
            .size = size,
            .boot = boot_hash(),
        };
        memcpy(state->header.magic, magic, sizeof magic);
        r = clear(state, reason);
    }
    if (r < 0) {
        if (state->made_path)
            rmdir(state->made_path);
        state_close(state);
    }
    return r;
}

int state_complete(struct state *state, struct reason *reason)
{
    if (state->kept)
        return 0;
    int r = write_header(state, NEW_HEADER, O_CREAT | O_TRUNC);
    if (r == 0 && renameat(state->directory, NEW_HEADER, state->directory, HEADER) < 0)
        r = -errno;
    return r < 0 ? refuse_errno(reason, -r, state->path, "write " HEADER) : 0;
}

void state_take_away(struct state *state)
{
    if (state->directory < 0)
        return;
    if (state->kept) {
        if (!state->had_writes)
            unlinkat(state->directory, WRITES, 0);
        return;
    }
    /* The header first: a kill in between leaves an unfinished start, and no disk. */
    unlinkat(state->directory, HEADER, 0);
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
        unlinkat(state->directory, files[i], 0);
    if (state->made_path)
        rmdir(state->made_path);
}

void state_close(struct state *state)
{
    if (state->directory >= 0)
        close(state->directory);
    state->directory = -1;
    free(state->made_path);
    state->made_path = NULL;
}

bool state_knows_backing(const struct state *state, const unsigned char *identity)
{
    return state->header.backing_is != STATE_BACKING_NONE &&
           memcmp(state->header.backing, identity, BACKING_IDENTITY_BYTES) == 0;
}

const unsigned char *state_begun_backing(const struct state *state)
{
    return state->header.backing_is == STATE_BACKING_BEGUN ? state->header.backing
                                                           : NULL;
}

static int note_backing(struct state *state, enum state_backing is,
                        const unsigned char *identity)
{
    state->header.backing_is = is;
    memmove(state->header.backing, identity, BACKING_IDENTITY_BYTES);
    return write_header(state, HEADER, 0);
}

int state_begin_backing(struct state *state, const unsigned char *identity)
{
    return note_backing(state, STATE_BACKING_BEGUN, identity);
}

int state_set_backing(struct state *state, const unsigned char *identity)
{
    return note_backing(state, STATE_BACKING_KNOWN, identity);
}
