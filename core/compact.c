/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "compact.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "gate.h"
#include "work.h"

/* The longest object of a class. */
static uint32_t class_room(unsigned class)
{
    return class == SIZE_CLASS_RAW ? PAGE_BYTES : size_classes[class].stride_bytes - 4u;
}

/* Moves the object FROM of slot OWNER.  False: there is no place for it. */
static bool move(struct parts *parts, struct context *context, unsigned class,
                 handle_t from, slot_t owner)
{
    struct slot_content content;
    handle_t to;
    bool moved = false;

    /* Room first, then the lock: never the other way round (rule S10). */
    if (pool_alloc(&parts->pool, class_room(class), (uint32_t)owner, &to) < 0)
        return false;
    (void)gate(GATE_COMPACT_PICKED, owner);
    if (slot_lock(&parts->slots, owner, SLOT_INSPECT, &content)) {
        /* Otherwise its writer has not published it yet, or somebody is about to free
         * it. */
        if (slot_content_is_resident(&content) && content.ref == from.value &&
            !(slot_marks_locked(&parts->slots, owner) & SLOT_WRITING)) {
            memcpy(pool_object(&parts->pool, to, content.length),
                   pool_object(&parts->pool, from, content.length), content.length);
            slot_move_locked(&parts->slots, owner, to.value);
            moved = true;
        }
        slot_unlock(&parts->slots, owner);
    }
    (void)gate(GATE_COMPACT_MOVED, owner);
    pool_free(&parts->pool, moved ? from : to);
    context_count(context, STAT_pages_compacted, moved);
    return true;
}

/* Works on one span of the class.  False: no more to be had in this class. */
static bool compact_span(struct parts *parts, struct context *context, unsigned class,
                         bool *gave_back)
{
    struct pool_victim victim;
    handle_t from;
    uint32_t owner;

    if (!pool_victim_choose(&parts->pool, class, &victim))
        return false;
    while (pool_victim_next(&parts->pool, &victim, &from, &owner))
        if (!move(parts, context, class, from, owner))
            break;
    bool gave = pool_victim_done(&parts->pool, &victim);
    *gave_back |= gave;
    /* After packing there is nothing more to do; a span that would not empty waits for
     * the next time, or this would not end. */
    return gave && !victim.packing;
}

/* Compaction begins of itself when free places are this share of what objects use, and
 * more than some classes' half-used spans come to.  Random overwrites alone stay below
 * it. */
#define FREE_SHARE 8
#define FREE_BYTES_MIN (UINT64_C(4) << 20)

static bool is_sparse(const struct parts *parts)
{
    uint64_t free_bytes = pool_free_bytes(&parts->pool);

    return free_bytes > FREE_BYTES_MIN + parts->compact_floor_bytes &&
           free_bytes > parts->pool.live_bytes / FREE_SHARE;
}

/* The next class, after the one looked at last, where a span's objects can move. */
static bool compact_next(struct parts *parts, struct context *context)
{
    bool gave_back = false;

    for (unsigned i = 0; i < SIZE_CLASSES && !gave_back; i++) {
        parts->compact_cursor = (parts->compact_cursor + 1) % SIZE_CLASSES;
        compact_span(parts, context, parts->compact_cursor, &gave_back);
    }
    return gave_back;
}

bool compact_a_little(struct parts *parts, struct context *context)
{
    if (!is_sparse(parts) || !lock_try_take(&parts->compact_lock))
        return false;
    bool gave = compact_next(parts, context);
    /* So that, when there is nothing to be had, not every write looks for it anew. */
    parts->compact_floor_bytes = gave ? 0 : pool_free_bytes(&parts->pool);
    lock_release(&parts->compact_lock);
    return gave;
}

bool compact_for_room(struct parts *parts, struct context *context)
{
    LOCK_FOR_SCOPE(&parts->compact_lock);

    return compact_next(parts, context) || slot_free_leaves(&parts->slots) > 0;
}

int compact_alloc(struct parts *parts, struct context *context, uint32_t length,
                  uint32_t owner, handle_t *handle)
{
    int r = pool_alloc(&parts->pool, length, owner, handle);

    for (unsigned i = 0; r == -ENOSPC && i < COMPACT_TRIES; i++) {
        if (!compact_for_room(parts, context))
            break;
        r = pool_alloc(&parts->pool, length, owner, handle);
    }
    return r;
}

bool compact_try(struct parts *parts, struct context *context)
{
    if (!lock_try_take(&parts->compact_lock))
        return false;
    bool gave = compact_next(parts, context) || slot_free_leaves(&parts->slots) > 0;
    lock_release(&parts->compact_lock);
    return gave;
}

/* Others get lock and context in between. */
static bool compact_one(struct parts *parts, unsigned class)
{
    bool gave_back = false, more;
    struct context *context = context_take(&parts->contexts);

    {
        LOCK_FOR_SCOPE(&parts->compact_lock);
        more = compact_span(parts, context, class, &gave_back);
    }
    context_give(&parts->contexts, context);
    return more;
}

uint64_t compact_all(struct parts *parts, struct work *work)
{
    struct work nobodys = {0};
    uint64_t before = memory_used_bytes(&parts->memory);

    if (!work)
        work = &nobodys;
    work->total = SIZE_CLASSES;
    for (unsigned class = 0; class < SIZE_CLASSES && !work->cancelled; class ++) {
        while (!work->cancelled && compact_one(parts, class))
            ;
        work->done = class + 1;
    }
    {
        LOCK_FOR_SCOPE(&parts->compact_lock);
        slot_free_leaves(&parts->slots);
    }

    uint64_t after = memory_used_bytes(&parts->memory);
    work->bytes = before > after ? before - after : 0;
    return work->bytes;
}
