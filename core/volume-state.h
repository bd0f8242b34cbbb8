/* volume-state.h - what a volume is, for the files that make it up
 *
 * Owns:    struct volume.
 * Called:  by volume.c (its life), volume-requests.c and volume-care.c only.
 * Locks:   none.
 * Never:   is seen by a face; that is what volume.h is for.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_VOLUME_STATE_H
#define ZSLOT_VOLUME_STATE_H

#include "options.h"
#include "parts.h"
#include "restore.h"
#include "state.h"
#include "volume.h"

struct volume {
    struct options options;
    struct parts parts;
    struct state state;
    struct restore found; /* in a state that was kept */
    bool process_locked, process_flusher;
    bool begun; /* the state and the backing store are in use */
    char identity[2 * STATE_IDENTITY_BYTES + 1];
};

#endif
