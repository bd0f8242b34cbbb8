/* process.h - what the whole process needs to serve swap
 *
 * Owns:    nothing.
 * Called:  by one thread, before serving; process_oom_score_adj() by any.
 * Locks:   none.
 * Never:   concerns the volume's own memory, which is locked as it is used (region.h).
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_PROCESS_H
#define ZSLOT_PROCESS_H

#include <stdbool.h>

/* Whether this process may lock as much memory as it likes. */
bool process_may_lock(void);

/* Tells the kernel that it must not wait for I/O when this thread needs memory, since that I/O
 * may be what the thread is to serve.  Threads that it makes from now on inherit it; so one call
 * before there are others is enough.  Whether it may (CAP_SYS_RESOURCE, Linux 5.6). */
bool process_be_flusher(void);

/* Locks what the process has in RAM now, and its code whether it is there or not;
 * memory that it has and never used, such as nbdkit's 192 MiB of zeroed tables, stays
 * out of RAM.  Mappings that are made later are not locked.  A negative errno. */
int process_lock(void);

/* How readily the kernel ends this process when memory runs out, beside its size: from -1000,
 * never, to 1000 (proc(5), oom_score_adj).  0, which is what processes have, if it cannot be
 * read. */
int process_oom_score_adj(void);

/* Gives this process another one, if its own is that of any process: whoever started it may
 * have chosen one.  Whether it may (a lower one needs CAP_SYS_RESOURCE). */
bool process_be_spared(int score);

#endif
