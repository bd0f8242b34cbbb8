/* read.h - a page on its way out
 *
 * Owns:    nothing.
 * Called:  by request threads, with a context each.
 * Locks:   one slot, while its object is copied; not while it is decompressed.
 * Never:   changes or frees what it reads (rule S7).
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_READ_H
#define ZSLOT_READ_H

#include <stdint.h>

#include "parts.h"

/* Copies BYTES at OFFSET within the page to OUT.  -EIO: the object is not what was put
 * there. */
int read_page(struct parts *parts, struct context *context, slot_t slot,
              uint32_t offset, uint32_t bytes, void *out);

/* Copies the whole page to OUT, which is not context->object, and takes a ticket for
 * what was copied; the caller closes it.  -EIO; -ENOSPC, -ENOMEM: no RAM for the slot's
 * leaf. */
int read_under_ticket(struct parts *parts, struct context *context, slot_t slot,
                      void *out, struct slot_ticket *ticket);

#endif
