/* export-note.h - what the export of a device was, for a process that looks after the device later
 *
 * Owns:    /run/zslot-attach-nbdN.export, from when the device is connected until it is not.
 * Called:  by a process at its start, and when it detaches.
 * Locks:   nothing: the lock of resident.h is the device's.
 * Never:   is needed by a process that has connected the device itself.
 *
 * The file is a struct export_info behind eight bytes that say so; it is for this machine, until it is
 * started again.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_EXPORT_NOTE_H
#define CLIENT_EXPORT_NOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "handshake.h"
#include "why.h"

/* Where it is; for tests. */
extern const char *export_note_directory;

/* -1 and why; here and below. */
int export_note_write(uint32_t index, const struct export_info *info, struct why *why);

/* Whether there is one, in INFO.  What is there and is not one is an error. */
int export_note_read(uint32_t index, bool *is_there, struct export_info *info,
                     struct why *why);

void export_note_remove(uint32_t index);

#endif
