/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "statedir.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void statedir_make(char *path, size_t bytes)
{
    snprintf(path, bytes, "/dev/shm/zslot-test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

void statedir_remove(const char *path)
{
    DIR *directory = opendir(path);

    ck_assert_ptr_nonnull(directory);
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strncmp(entry->d_name, "zslot-", 6) == 0)
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    ck_assert_int_eq(rmdir(path), 0);
}
