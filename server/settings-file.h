/* settings-file.h - the configuration file, line by line
 *
 * Owns:    the text of the file, which settings borrow from for as long as the process lives.
 * Called:  by one thread, before serving.
 * Locks:   none.
 * Never:   knows what a key is for.
 *
 * A line is one of these, with any blanks around it and around its =:
 *
 *   nothing             # a comment             [export NAME]           KEY=VALUE
 *
 * There are no quotes, no continued lines, and no comments behind a value: what looks like one is
 * refused, since it would become a part of a path.  zslot.conf(5) is for users.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SETTINGS_FILE_H
#define ZSLOT_SETTINGS_FILE_H

#include "settings.h"

#define SETTINGS_FILE_BYTES_MAX (1u << 20)

/* A negative errno with a sentence, which begins with PATH and, where there is one, the line. */
int settings_read_file(struct settings *settings, const char *path,
                       struct reason *reason);

/* The same with the file's text, of BYTES and a 0 behind them, which it changes and borrows. */
int settings_read_text(struct settings *settings, const char *path, char *text,
                       size_t bytes, struct reason *reason);

#endif
