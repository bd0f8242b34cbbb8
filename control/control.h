/* control.h - the control endpoint of a volume: HTTP on a Unix socket, and on a port for
 * reading only
 *
 * Owns:    the socket and the port, their connections, and the thread of long work.
 * Called:  by a face, from one thread: open before a fork, start after it and after
 *          volume_start(), close before volume_close().
 * Locks:   none of core's.
 * Never:   is called by core.
 *
 * Requests are answered in the thread of the volume's loop, which they never make wait:
 * what takes long has a thread of its own (job.h).
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_CONTROL_H
#define ZSLOT_CONTROL_H

#include "face.h"
#include "volume.h"

struct control;

/* Listens where OPTIONS say; *CONTROL is NULL when they say nowhere.  VOLUME is borrowed, and
 * must have been opened with the same options.  On failure a negative errno and a
 * sentence. */
int control_open(const struct options *options, struct volume *volume,
                 struct control **control, struct reason *reason);

/* Numbers that a face has of itself, for GET /v1/stats: FN fills in some and returns how many, in the
 * thread of the volume's loop.  Before control_start(). */
void control_set_face(struct control *control, face_numbers_fn *fn, void *opaque);

/* Begins to answer.  NULL is fine, here and below. */
int control_start(struct control *control, struct reason *reason);

/* Ends long work that is under way, and takes the socket away. */
void control_close(struct control *control);

#endif
