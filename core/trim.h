/* trim.h - pages that become zeroes, many at a time
 *
 * Owns:    nothing.
 * Called:  by request threads.
 * Locks:   one slot at a time, and no context for longer than a leaf's slots: other
 *          requests get in between, however long the range.
 * Never:   fails for want of memory, but for the two partial pages at a range's ends.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_TRIM_H
#define ZSLOT_TRIM_H

#include <stdint.h>

#include "parts.h"

/* Makes the whole pages within BYTES at OFFSET zeroes; leaves partial ones as they are,
 * which is a trim's to do. */
void trim_range(struct parts *parts, uint64_t offset, uint64_t bytes);

/* Makes all BYTES at OFFSET zeroes.  Errors as write_part(); whole pages are done by
 * then. */
int trim_zero(struct parts *parts, uint64_t offset, uint64_t bytes);

#endif
