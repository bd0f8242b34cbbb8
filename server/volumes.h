/* volumes.h - the volumes behind the exports, each with its control endpoint
 *
 * Owns:    volumes, control endpoints, and the table of exports that connections look into.
 * Called:  by one thread: open before a fork, prepare and begin after it, close at the end.
 * Locks:   none.
 * Never:   serves.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_VOLUMES_H
#define ZSLOT_VOLUMES_H

#include "control.h"
#include "export.h"
#include "settings.h"

struct volumes {
    unsigned count; /* those that are open, or were begun to be */
    struct volume *volumes[EXPORTS_MAX];
    struct control *controls[EXPORTS_MAX];
    char descriptions[EXPORTS_MAX][64];
    struct export exports[EXPORTS_MAX];
    struct export_table table;
};

/* One for each of the settings' exports.  A negative errno with a sentence; whatever it is, what was
 * opened is closed by volumes_close(). */
int volumes_open(struct volumes *volumes, const struct settings *settings,
                 struct reason *reason);
/* All that can fail.  FN says what control endpoints tell of the server. */
int volumes_prepare(struct volumes *volumes, face_numbers_fn *fn, void *opaque,
                    struct reason *reason);

/* From here on their backing stores are written to. */
void volumes_begin(struct volumes *volumes);

/* While all that FN tells of is there. */
void volumes_close_controls(struct volumes *volumes);

/* After all connections have ended. */
void volumes_close(struct volumes *volumes);

#endif
