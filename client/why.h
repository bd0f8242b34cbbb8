/* why.h - a sentence about what did not work
 *
 * Owns:    nothing; the sentence is the caller's.
 * Called:  by all of client/.
 * Locks:   nothing.
 * Never:   allocates or prints.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_WHY_H
#define CLIENT_WHY_H

struct why {
    char sentence[256];
};

/* Returns -1, so that a function can say why and return at once. */
int why_set(struct why *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
