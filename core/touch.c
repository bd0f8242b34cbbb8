/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "touch.h"

bool touch_is_new(struct touch_table *table, slot_t slot, uint32_t offset,
                  uint32_t bytes, uint64_t now_ms)
{
    /* Multiplied by 2^64 divided by the golden ratio, which spreads neighbours. */
    uint64_t hash = slot * UINT64_C(0x9e3779b97f4a7c15);
    struct touch *touch = &table->touches[hash >> 32 & (TOUCHES - 1)];
    uint32_t end = offset + bytes;
    bool goes_on = touch->slot == slot && touch->start < touch->end &&
                   now_ms - touch->at_ms < TOUCH_MS &&
                   (end <= touch->start || offset >= touch->end);

    if (goes_on) {
        if (offset < touch->start)
            touch->start = (uint16_t)offset;
        if (end > touch->end)
            touch->end = (uint16_t)end;
    } else {
        touch->slot = slot;
        touch->start = (uint16_t)offset;
        touch->end = (uint16_t)end;
    }
    touch->at_ms = now_ms;
    return !goes_on;
}
