/* same-file.h - whether two names, or a name and a descriptor, are one file
 *
 * Owns:    nothing.
 * Called:  by any thread; includes nothing of core, so that faces may, too.
 * Locks:   none.
 * Never:   opens anything.
 *
 * Who locks a file asks again: whoever had it before may have taken it away, or put another one in its
 * place, between the open and the lock.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SAME_FILE_H
#define ZSLOT_SAME_FILE_H

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

static inline bool same_file(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/* Whether FD is what PATH leads to; with AT_SYMLINK_NOFOLLOW in FLAGS, what it is. */
static inline bool same_file_is_at(int fd, const char *path, int flags)
{
    struct stat ours, there;

    return fstat(fd, &ours) == 0 && fstatat(AT_FDCWD, path, &there, flags) == 0 &&
           same_file(&ours, &there);
}

#endif
