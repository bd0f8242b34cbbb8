/* export-note.c - what the export of a device was
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "export-note.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct note {
    char magic[8];
    struct export_info info;
};
static const char magic[8] = "zslotex2";

const char *export_note_directory = "/run";

static void path_of(uint32_t index, char *path, size_t path_bytes)
{
    snprintf(path, path_bytes, "%s/zslot-attach-nbd%u.export", export_note_directory,
             index);
}

int export_note_write(uint32_t index, const struct export_info *info, struct why *why)
{
    struct note note;
    char path[128];

    memset(&note, 0, sizeof note);
    memcpy(note.magic, magic, sizeof magic);
    note.info = *info;
    path_of(index, path, sizeof path);
    const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    const ssize_t written = fd < 0 ? -1 : write(fd, &note, sizeof note);
    const int error = written < 0 ? errno : ENOSPC;

    if (fd >= 0)
        close(fd);
    if (written != sizeof note)
        return why_set(why, "%s: %s", path, strerror(error));
    return 0;
}

int export_note_read(uint32_t index, bool *is_there, struct export_info *info,
                     struct why *why)
{
    struct note note;
    char path[128];

    path_of(index, path, sizeof path);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    *is_there = fd >= 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : why_set(why, "%s: %s", path, strerror(errno));
    const ssize_t length = read(fd, &note, sizeof note);
    const int error = errno;
    close(fd);
    if (length < 0)
        return why_set(why, "%s: %s", path, strerror(error));
    if (length != sizeof note || memcmp(note.magic, magic, sizeof magic) != 0)
        return why_set(why,
                       "%s does not tell what the export was; if you know that it is "
                       "the same one, remove this file",
                       path);
    *info = note.info;
    info->name[sizeof info->name - 1] = '\0';
    info->description[sizeof info->description - 1] = '\0';
    return 0;
}

void export_note_remove(uint32_t index)
{
    char path[128];

    path_of(index, path, sizeof path);
    unlink(path);
}
