/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "ahead.h"

#include <errno.h>

#include "writeback.h"

void ahead_open(struct ahead *ahead, struct parts *parts, slot_t end)
{
    ahead->parts = parts;
    ahead->next = 0;
    ahead->end = end;
    ahead->first = ahead->count = 0;
}

static void drop_first(struct ahead *ahead)
{
    ahead->first = (ahead->first + 1) % AHEAD_MAX;
    ahead->count--;
}

/* False: there are no more fetches to be had. */
static bool begin(struct ahead *ahead, slot_t slot)
{
    struct parts *parts = ahead->parts;
    unsigned last = (ahead->first + ahead->count) % AHEAD_MAX;
    struct slot_age age;

    slot_look(&parts->slots, slot, &age);
    if (age.state != SLOT_STORED)
        return true;
    int r = fetch_begin(writeback_fetches(parts->writeback), slot,
                        &ahead->ring[last].fetch, &ahead->ring[last].warm);
    if (r == 0) {
        ahead->ring[last].slot = slot;
        ahead->count++;
    }
    return r != -EAGAIN;
}

bool ahead_take(struct ahead *ahead, slot_t slot, struct fetch **fetch, bool *warm)
{
    /* Pages that were written, or came back to RAM, since they were begun. */
    while (ahead->count > 0 && ahead->ring[ahead->first].slot < slot) {
        fetch_release(ahead->ring[ahead->first].fetch);
        drop_first(ahead);
    }
    if (ahead->next < slot)
        ahead->next = slot;
    while (ahead->next < ahead->end && ahead->count < AHEAD_MAX &&
           begin(ahead, ahead->next))
        ahead->next++;

    if (ahead->count == 0 || ahead->ring[ahead->first].slot != slot)
        return false;
    *fetch = ahead->ring[ahead->first].fetch;
    *warm = ahead->ring[ahead->first].warm;
    drop_first(ahead);
    return true;
}

void ahead_close(struct ahead *ahead)
{
    for (; ahead->count > 0; drop_first(ahead))
        fetch_release(ahead->ring[ahead->first].fetch);
}
