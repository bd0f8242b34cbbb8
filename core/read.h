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

#include <stdbool.h>
#include <stdint.h>

#include "parts.h"

/* Copies BYTES at OFFSET within the page to OUT, from wherever it is.  AHEAD: the fetches
 * of the request that this is a part of; NULL for a request of one page.  -EIO: the object
 * cannot be fetched, or is not what was put there; the page stays as it is. */
struct ahead;
int read_part(struct parts *parts, struct ahead *ahead, slot_t slot, uint32_t offset,
              uint32_t bytes, void *out);

/* Whether the page is stored at this moment, without an access to it. */
bool read_is_stored(struct parts *parts, slot_t slot);

/* Whether one of those from SLOT up to END is. */
bool read_meets_stored(struct parts *parts, slot_t slot, slot_t end);

/* As read_part() for who must not wait.  -EAGAIN: the page is stored; this was no access to it. */
int read_try_part(struct parts *parts, slot_t slot, uint32_t offset, uint32_t bytes,
                  void *out);

/* Brings stored pages from SLOT up to END to RAM, as far as there is room.  -EIO: one
 * cannot be fetched. */
int read_cache(struct parts *parts, slot_t slot, slot_t end);

/* -- For partial writes. -- */

/* Copies the whole page to OUT, which is not context->object, and takes a ticket for
 * what was copied; the caller closes it.  -EAGAIN: the page is stored and must be
 * fetched; -EIO; -ENOSPC, -ENOMEM: no RAM for the slot's leaf. */
int read_under_ticket(struct parts *parts, struct context *context, slot_t slot,
                      void *out, struct slot_ticket *ticket);

/* The same of a page in RAM that is an object, for who does not use it: it stays as old as
 * it is.  -EAGAIN: there is no such object. */
int read_quietly(struct parts *parts, struct context *context, slot_t slot, void *out,
                 struct slot_ticket *ticket);

struct fetch;

/* Copies the whole page that FETCH has brought to OUT, which is not context->object.
 * -EIO. */
int read_fetched(struct context *context, const struct fetch *fetch, uint32_t offset,
                 uint32_t bytes, void *out);

#endif
