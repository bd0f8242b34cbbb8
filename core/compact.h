/* compact.h - moves objects together, so that RAM between them becomes free
 *
 * Owns:    nothing.
 * Called:  by request threads, and by whoever asks for a compaction.
 * Locks:   LOCK_RANK_COMPACT for the whole of it; under it one slot at a time, for a
 *          copy.
 * Never:   moves an object that is on its way to the backing store, or that no slot
 *          refers to yet.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_COMPACT_H
#define ZSLOT_COMPACT_H

#include <stdbool.h>
#include <stdint.h>

#include "parts.h"

/* How often who needs room at the memory limit makes some and tries again: others may take what
 * it made room for. */
#define COMPACT_TRIES 3

/* Gives back some RAM, if there is any to be had by moving a span's worth of objects or
 * so, or from leaves without pages.  False: all that is in use is needed. */
bool compact_for_room(struct parts *parts, struct context *context);

/* A place for an object of LENGTH bytes of slot OWNER: pool_alloc(), at the memory limit after
 * room was made. */
int compact_alloc(struct parts *parts, struct context *context, uint32_t length,
                  uint32_t owner, handle_t *handle);

/* Moves a span's worth of objects if too much of the pool's RAM is free places, and
 * nobody else is about it: what writes, trims and recompressions leave behind, those after them
 * clear away, a little each.  Whether that gave RAM back. */
bool compact_a_little(struct parts *parts, struct context *context);

/* As compact_for_room(), but does nothing while somebody else is about it. */
bool compact_try(struct parts *parts, struct context *context);

/* Gives back all that there is to be had; how much, in bytes.  Takes contexts for itself.
 * WORK, which may be NULL, counts size classes. */
struct work;
uint64_t compact_all(struct parts *parts, struct work *work);

#endif
