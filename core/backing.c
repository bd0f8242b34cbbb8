/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "backing.h"

#include <stddef.h>
#include <string.h>

const char *const backing_names[] = {"file", "nbd", NULL};

int backing_open(const char *where, uint64_t bytes, uint64_t file_bytes, bool overwrite,
                 unsigned timeout_ms, unsigned busy_ms, struct backing **backing,
                 struct reason *reason)
{
    if (strstr(where, "://"))
        return backing_nbd_open(where, bytes, overwrite, timeout_ms, backing, reason);
    return backing_file_open(where, bytes, file_bytes, overwrite, busy_ms, backing,
                             reason);
}
