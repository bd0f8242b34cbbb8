/* steer.h - what people tell a volume while it runs
 *
 * Owns:    nothing.
 * Called:  as each says.
 * Locks:   one slot at a time.
 * Never:   changes a part of what it was told and then refuses the rest.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_STEER_H
#define ZSLOT_STEER_H

#include "options.h"
#include "work.h"

struct parts;

/* Marks pages IDLE that were not accessed for AGE_S, all for 0.  By any thread; takes as
 * long as the table.  -EINVAL: how old pages are is not known, since there is no
 * idle-age. */
int steer_mark_idle(struct parts *parts, uint32_t age_s, struct work *work);

/* What steer_set() takes: the key, and whether it is about the backing store. */
#define STEER_PARAMETERS(P)                                                            \
    P("compressor", false)                                                             \
    P("memory-limit", false)                                                           \
    P("idle-age", true)                                                                \
    P("writeback-limit", true)

/* The keys, each after a space. */
#define STEER_KEY(key, is_about_backing) " " key
#define STEER_KEYS STEER_PARAMETERS(STEER_KEY)

struct steer_pair {
    const char *key, *value;
};

/* Takes COUNT values, all of them or none, and notes them in OPTIONS.  In the thread of the
 * loop.  -EINVAL: not such a key, a bad value; -EBUSY: more memory is in use than can be
 * brought under a new memory-limit; -ENOSPC, -ENOMEM: no RAM for a compressor; with a
 * sentence. */
int steer_set(struct parts *parts, struct options *options,
              const struct steer_pair *pairs, unsigned count, struct reason *reason);

#endif
