/* line.h - lines from programs in the guest to the host, which may answer
 *
 * Owns:    file descriptor 3, which init.sh opened.
 * Called:  from any thread.
 * Locks:   one of its own, so that an answer goes to who asked.
 * Never:   fails: without a host the guest is of no use, and line_send() exits.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef VM_LINE_H
#define VM_LINE_H

/* "say" and the text, which the host prints. */
void line_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "mark" and the name; returns when the host has done what it does at that mark. */
void line_mark(const char *name);

#endif
