/* settings-twice.h - what two parameters cannot both have: a socket, a file, a directory, a port
 *
 * Owns:    nothing.
 * Called:  by settings_complete().
 * Locks:   none.
 * Never:   opens anything; what another process has is found out by whoever opens it.
 *
 * Opened one after the other, the second would be told that somebody else has it.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SETTINGS_TWICE_H
#define ZSLOT_SETTINGS_TWICE_H

#include "settings.h"

/* -EINVAL with a sentence about the second one, which settings_say() has been through. */
int settings_check_twice(const struct settings *settings, struct reason *reason);

#endif
