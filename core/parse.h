/* parse.h - values that people type
 *
 * Owns:    nothing.
 * Called:  by one thread, before serving.
 * Locks:   none.
 * Never:   knows what a value is for.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_PARSE_H
#define ZSLOT_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* A size in bytes as nbdkit writes them: digits, then nothing or one of b, k, M, G, T,
 * P, E for a power of 1024 (k and K, m and M and so on are alike), or s for sectors of
 * 512. -EINVAL: not such a thing; -ERANGE: negative, or over INT64_MAX. */
int parse_size(const char *text, uint64_t *bytes);

/* BYTES as people type them: with the largest unit of which they are a whole number.  For the arguments of one
 * call: parse_text_of_size(n).text. */
struct parse_text {
    char text[24];
};
struct parse_text parse_text_of_size(uint64_t bytes);

/* true, yes, on, 1 and false, no, off, 0, in any case.  -EINVAL. */
int parse_bool(const char *text, bool *value);

/* A decimal integer, perhaps with a -.  -EINVAL, -ERANGE. */
int parse_int(const char *text, int *value);

#endif
