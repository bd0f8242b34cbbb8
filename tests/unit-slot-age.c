/* unit-slot-age.c - core/slot.h: how old slots are, by the clock and by visits
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "harness.h"
#include "slots.h"

static unsigned marks(slot_t slot)
{
    struct slot_content content;

    ck_assert_int_eq(slot_lock_made(&slots_table, slot, SLOT_INSPECT, &content), 0);
    unsigned is = slot_marks_locked(&slots_table, slot);
    slot_unlock(&slots_table, slot);
    return is;
}

typedef void grow_fn(slot_t slot, struct slot_age *before);

static void by_the_clock(slot_t slot, struct slot_age *before)
{
    slot_grow_older(&slots_table, slot, 3, before);
}

static void by_visits(slot_t slot, struct slot_age *before)
{
    slot_visit(&slots_table, slot, before);
}

/* Grows the slot MOST + 3 times and looks at the age in FIELD; IDLE comes at the third. */
static void grow(grow_fn *older, size_t field, unsigned most)
{
    for (unsigned times = 1; times <= most + 3; times++) {
        struct slot_age before, now;

        older(1, &before);
        slot_look(&slots_table, 1, &now);
        ck_assert_uint_eq(((uint8_t *)&before)[field],
                          times <= most ? times - 1 : most);
        ck_assert_uint_eq(((uint8_t *)&now)[field], times < most ? times : most);
        ck_assert_uint_eq(now.state, SLOT_COMPRESSED);
        ck_assert_uint_eq(marks(1), times >= 3 ? SLOT_IDLE : 0);
        slots_assert(1, &slots_compressed);
    }
}

static void assert_young(void)
{
    struct slot_age age;

    slot_look(&slots_table, 1, &age);
    ck_assert_uint_eq(age.visits, 0);
    ck_assert_uint_eq(age.units, 0);
    ck_assert_uint_eq(marks(1), 0);
}

START_TEST(ages_grow_to_the_most_there_is_and_access_resets_them)
{
    struct slot_content content;
    struct slot_age age;

    slots_put(1, &slots_compressed, &slots_empty);
    grow(by_the_clock, offsetof(struct slot_age, units), SLOT_UNITS_MAX);
    ck_assert(slot_lock(&slots_table, 1, SLOT_ACCESS, &content));
    ck_assert_uint_eq(content.units, SLOT_UNITS_MAX);
    slot_unlock(&slots_table, 1);
    assert_young();
    grow(by_visits, offsetof(struct slot_age, visits), SLOT_VISITS_MAX);
    by_the_clock(1, &age);
    /* So does a write. */
    slots_put(1, &slots_huge, &slots_compressed);
    assert_young();
}
END_TEST

START_TEST(the_two_ages_do_not_disturb_each_other)
{
    struct slot_age age;

    slots_put(1, &slots_compressed, &slots_empty);
    for (unsigned i = 0; i < 40; i++)
        by_visits(1, &age);
    slot_look(&slots_table, 1, &age);
    ck_assert_uint_eq(age.units, 0);
    for (unsigned i = 0; i < 40; i++)
        by_the_clock(1, &age);
    slot_look(&slots_table, 1, &age);
    ck_assert_uint_eq(age.units, SLOT_UNITS_MAX);
    ck_assert_uint_eq(age.visits, SLOT_VISITS_MAX);
}
END_TEST

START_TEST(empty_slots_have_no_age)
{
    struct slot_age age;

    for (unsigned leaf = 0; leaf < 2; leaf++) {
        by_the_clock(2, &age);
        by_visits(2, &age);
        slot_look(&slots_table, 2, &age);
        ck_assert_uint_eq(age.state, SLOT_EMPTY);
        ck_assert_uint_eq(age.units + age.visits, 0);
        slots_put(1, &slots_same,
                  leaf ? &slots_same : &slots_empty); /* now there is a leaf */
    }
    ck_assert_uint_eq(marks(2), 0);
}
END_TEST

HARNESS_MAIN_WITH("unit-slot-age", slots_setup, slots_teardown,
                  ages_grow_to_the_most_there_is_and_access_resets_them,
                  the_two_ages_do_not_disturb_each_other, empty_slots_have_no_age)
