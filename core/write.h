/* write.h - a page on its way in
 *
 * Owns:    nothing.
 * Called:  by request threads, with a context each.
 * Locks:   one slot at a time, by its edges; never while compressing or allocating.
 * Never:   waits for writeback.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_WRITE_H
#define ZSLOT_WRITE_H

#include <stdint.h>

#include "parts.h"

/* Puts the page at DATA (PAGE_BYTES, any alignment; its bytes may change meanwhile,
 * then it is undefined which are kept) into SLOT.  -ENOSPC: past the memory limit;
 * -ENOMEM: the system has no memory.  The slot then has its former content. */
int write_page(struct parts *parts, struct context *context, slot_t slot,
               const void *data);

/* Puts BYTES at OFFSET within the page, less than all of it; DATA NULL puts zeroes.
 * Errors as write_page(), and -EIO when the rest of the page cannot be read. */
int write_part(struct parts *parts, struct context *context, slot_t slot,
               uint32_t offset, uint32_t bytes, const void *data);

/* Makes the page zeroes.  Cannot fail. */
void write_empty(struct parts *parts, struct context *context, slot_t slot);

#endif
