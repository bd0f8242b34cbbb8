/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "idle.h"

#include <errno.h>
#include <string.h>

_Static_assert(CONTEXT_UNITS == SLOT_UNITS_MAX + 1, "contexts count by units of age");

void idle_init(struct idle *idle, struct parts *parts, uint32_t seconds,
               uint64_t now_ms)
{
    *idle = (struct idle){.parts = parts, .round_ms = now_ms, .last_round_ms = now_ms};
    if (seconds == 0)
        return;
    idle->automatic = seconds == IDLE_AUTO;
    idle->units = idle->automatic ? SLOT_UNITS_MAX : IDLE_UNITS_FIXED;
    idle->unit_ms = idle->automatic ? IDLE_AUTO_UNIT_MS
                                    : (uint64_t)seconds * 1000 / IDLE_UNITS_FIXED;
}

void idle_change(struct idle *idle, uint32_t seconds, uint64_t now_ms)
{
    idle_init(idle, idle->parts, seconds, now_ms);
    for (unsigned units = 1; units <= SLOT_UNITS_MAX; units++)
        idle->wanted[units] = context_set_wanted(&idle->parts->contexts, units);
    for (unsigned units = 0; units <= SLOT_UNITS_MAX; units++)
        idle->promoted[units] = context_set_promoted(&idle->parts->contexts, units);
}

/* The youngest age at which no more than the target would have been fetched, of what
 * was wanted since the last round. */
static unsigned youngest_good_age(struct idle *idle, uint64_t minutes_1000)
{
    uint64_t working_set = idle->pages[0] + idle->pages[1];
    uint64_t allowed = working_set * IDLE_AUTO_PER_MILLE * minutes_1000 / 1000 / 1000;
    uint64_t fetches = 0;
    unsigned good = SLOT_UNITS_MAX;

    for (unsigned units = SLOT_UNITS_MAX; units > 0; units--) {
        fetches +=
            context_set_wanted(&idle->parts->contexts, units) - idle->wanted[units];
        if (fetches > allowed)
            break;
        good = units;
    }
    for (unsigned units = 1; units <= SLOT_UNITS_MAX; units++)
        idle->wanted[units] = context_set_wanted(&idle->parts->contexts, units);
    return good;
}

static void end_round(struct idle *idle, uint64_t now_ms)
{
    idle->hand = 0;
    idle->in_round = false;
    if (idle->automatic) {
        unsigned good = youngest_good_age(idle, (now_ms - idle->last_round_ms) / 60);

        if (good > idle->units)
            idle->units = good;
        else if (good < idle->units)
            idle->units--;
    }
    idle->last_round_ms = now_ms;
    memcpy(idle->last_pages, idle->pages, sizeof idle->pages);
}

/* False: the segment is full, and the hand stays. */
static bool look_at(struct idle *idle, slot_t slot, struct segment *segment)
{
    struct slot_table *slots = &idle->parts->slots;
    struct slot_age age;

    /* First the page goes, then it ages: a full segment must not make it older
     * twice. */
    slot_look(slots, slot, &age);
    bool resident = age.state == SLOT_COMPRESSED || age.state == SLOT_HUGE;
    if (resident && age.units >= idle->units && segment &&
        segment_add(segment, slot) == -ENOSPC)
        return false;
    if (age.state == SLOT_EMPTY)
        return true;
    slot_grow_older(slots, slot, idle->units, &age);
    idle->pages[age.units]++;
    return true;
}

enum idle_result idle_fill(struct idle *idle, struct segment *segment, unsigned visits,
                           uint64_t now_ms)
{
    struct slot_table *slots = &idle->parts->slots;

    if (idle->unit_ms == 0)
        return IDLE_REST;
    if (!idle->in_round) {
        if (now_ms - idle->round_ms < idle->unit_ms)
            return IDLE_REST;
        idle->in_round = true;
        idle->round_ms = now_ms;
        memset(idle->pages, 0, sizeof idle->pages);
    }
    for (; visits > 0; visits--) {
        if (!leaf_is_present(&slots->leaves, idle->hand / LEAF_SLOTS))
            idle->hand = (idle->hand / LEAF_SLOTS + 1) * LEAF_SLOTS;
        else if (!look_at(idle, idle->hand, segment))
            return IDLE_FULL;
        else
            idle->hand++;
        if (idle->hand >= slots->slots) {
            end_round(idle, now_ms);
            return IDLE_REST;
        }
    }
    return IDLE_MORE;
}
