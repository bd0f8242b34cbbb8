/* descriptors.h - 0, 1 and 2 are never a file of ours
 *
 * Owns:    nothing.
 * Called:  by programs, first of all; includes nothing of core, so that any may.
 * Locks:   none.
 * Never:   changes one that is open.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_DESCRIPTORS_H
#define ZSLOT_DESCRIPTORS_H

#include <fcntl.h>
#include <unistd.h>

/* What is closed of them becomes /dev/null.  Otherwise the first file that is opened would be one of
 * them, and what is said to it would go to a client, or into the memory of pages. */
static inline void descriptors_reserve_standard(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

#endif
