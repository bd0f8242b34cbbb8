/* pid-file.h - the file that says which process serves
 *
 * Owns:    the file, by a lock on it, from open to close.
 * Called:  by one thread: open before a fork, write after it.
 * Locks:   the file, by an flock, against other servers; a child keeps it.
 * Never:   overwrites what is no process's id, or takes away what another server has.
 *
 * One that a server has left which was killed is not locked, and is taken over.  A file of another
 * program, which locks nothing, with a process's id in it looks the same: the id may be of whoever has
 * the number now.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_PID_FILE_H
#define ZSLOT_PID_FILE_H

#include <stdbool.h>

#include "reason.h"

struct pid_file {
    const char *path; /* borrowed; NULL: none is open */
    int fd;
    bool is_ours; /* we made it, or have written to it */
};

/* Opens PATH, absolute, and makes an empty file if there is none; what there is stays as it is.  -EBUSY:
 * another server has it.  A negative errno with a sentence, here and below. */
int pid_file_open(struct pid_file *file, const char *path, struct reason *reason);

/* The calling process is the one. */
int pid_file_write(struct pid_file *file, struct reason *reason);

/* Takes it away if it is ours.  Fine for one that was not opened, if path is NULL. */
void pid_file_close(struct pid_file *file);

#endif
