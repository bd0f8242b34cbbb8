/* statedir.h - a directory for a volume's state, for one test
 *
 * Owns:    nothing but the directory.
 * Called:  by the test.
 * Locks:   none.
 * Never:   is in the way of another test: its name is new.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_STATEDIR_H
#define TESTS_STATEDIR_H

#include <stddef.h>

/* Makes one on a tmpfs. */
void statedir_make(char *path, size_t bytes);

/* Removes it with the files that a state has there. */
void statedir_remove(const char *path);

#endif
