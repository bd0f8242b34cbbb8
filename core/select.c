/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "select.h"

#include <errno.h>

/* Rounds without any result before the caller is told. */
#define BARREN_ROUNDS (SELECT_AGE + 1)

void select_init(struct select *select, struct parts *parts)
{
    *select = (struct select){.parts = parts, .age = SELECT_AGE};
}

static void end_round(struct select *select)
{
    select->hand = 0;
    if (select->found > 0) {
        select->barren = 0;
        if (select->age < SELECT_AGE)
            select->age++;
    } else {
        select->barren++;
        if (select->age > 0)
            select->age--;
    }
    select->found = 0;
}

enum select_result select_fill(struct select *select, struct segment *segment,
                               unsigned visits, uint64_t wanted)
{
    struct slot_table *slots = &select->parts->slots;

    for (; visits > 0; visits--) {
        if (segment->object_bytes >= wanted)
            return SELECT_FULL;
        if (!leaf_is_present(&slots->leaves, select->hand / LEAF_SLOTS))
            select->hand = (select->hand / LEAF_SLOTS + 1) * LEAF_SLOTS;
        else {
            struct slot_age age;

            slot_visit(slots, select->hand, &age);
            bool goes = (age.state == SLOT_COMPRESSED && age.visits >= select->age) ||
                        (age.state == SLOT_HUGE && age.visits + 1u >= select->age);

            if (goes) {
                int r = segment_add(segment, select->hand);

                if (r == -ENOSPC)
                    return SELECT_FULL; /* and the hand comes back to this one */
                select->found += r == 0;
            }
            select->hand++;
        }
        if (select->hand >= slots->slots) {
            end_round(select);
            if (select->barren >= BARREN_ROUNDS) {
                select->barren = 0;
                return SELECT_BARREN;
            }
        }
    }
    return SELECT_MORE;
}
