/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "promote.h"

#include <string.h>

#include "content.h"
#include "gate.h"
#include "room.h"

bool promote_object(struct parts *parts, struct context *context,
                    const struct fetch *fetch)
{
    const struct slot_ticket *ticket = &fetch->ticket;
    struct slot_content new = ticket->content, old;
    handle_t handle;

    if (pool_alloc(&parts->pool, new.length, (uint32_t)ticket->slot, &handle) < 0)
        return false;
    memcpy(pool_object(&parts->pool, handle, new.length), fetch->object, new.length);
    new.state = new.codec == CODEC_NONE ? SLOT_HUGE : SLOT_COMPRESSED;
    new.ref = handle.value;
    (void)gate(GATE_PROMOTE_BUILT, ticket->slot);
    if (slot_put_if(&parts->slots, ticket, &new, &old) < 0)
        pool_free(&parts->pool, handle);
    else {
        content_release(parts, &old);
        content_count(context, &old, &new);
        context_count(context, STAT_promotions, 1);
        context_count_promoted(context, ticket->content.units);
    }
    room_poke(parts->writeback);
    return true;
}
