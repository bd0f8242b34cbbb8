/* settings-say.h - a sentence about a parameter, in the words of where that was given
 *
 * Owns:    nothing.
 * Called:  by one thread, before serving.
 * Locks:   none.
 * Never:   decides what is wrong: the sentence is there already, and begins with the parameter.
 *
 *   of an argument:   --size=1x: not a size; write for example --size=8G
 *   of a file:        /etc/zslot/swap.conf:3: size=1x: not a size; write for example size=8G
 *   of nobody:        /etc/zslot/swap.conf: size=SIZE is missing; write for example size=8G
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SETTINGS_SAY_H
#define ZSLOT_SETTINGS_SAY_H

#include "settings.h"

/* Where the parameter was given that the sentence begins with, as settings.lines has it; of one of a
 * volume, for EXPORT.  0: nowhere, or it begins with none. */
unsigned settings_line_of(const struct settings *settings, unsigned export,
                          const struct reason *reason);

/* Rewrites a sentence about what was given at LINE. */
void settings_say(const struct settings *settings, unsigned line,
                  struct reason *reason);

#endif
