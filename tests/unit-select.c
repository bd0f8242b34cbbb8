/* unit-select.c - core/select.h: which pages go first, and what choosing costs
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "select.h"

#include "policy.h"

#define SLOTS 4096
#define VISITS 8192
#define COLD                                                                           \
    500 /* pages nobody uses, from 0; after them ones that are used all the time */

/* One round with pages in the first 2 * COLD slots: leaves without pages are one visit each. */
#define ROUND_LEAVES ((2 * COLD + LEAF_SLOTS - 1) / LEAF_SLOTS)
#define ROUND (ROUND_LEAVES * LEAF_SLOTS + SLOTS / LEAF_SLOTS - ROUND_LEAVES)

static struct policy policy;
static struct select chooser;

static void setup(void)
{
    policy_open(&policy, SLOTS);
    select_init(&chooser, &policy.parts);
}

static void teardown(void)
{
    policy_close(&policy);
}

static enum select_result choose(unsigned visits, uint64_t wanted, slot_t first,
                                 slot_t end, unsigned *found, unsigned *of_these)
{
    struct segment *segment = policy_segment(&policy);
    enum select_result result = select_fill(&chooser, segment, visits, wanted);

    *found = policy_take(segment, first, end, of_these);
    return result;
}

START_TEST(cold_pages_go_and_used_ones_stay)
{
    unsigned cold = 0;

    for (slot_t slot = 0; slot < 2 * COLD; slot++)
        policy_put(&policy, slot, false);
    for (unsigned round = 0; round < 10 && cold < COLD; round++) {
        unsigned found, of_these;

        for (slot_t slot = COLD; slot < 2 * COLD; slot++)
            policy_access(&policy, slot);
        choose(ROUND, UINT64_MAX, 0, COLD, &found, &of_these);
        ck_assert_uint_eq(found, of_these);
        cold += of_these;
    }
    ck_assert_uint_ge(cold, COLD);
}
END_TEST

START_TEST(incompressible_pages_go_a_visit_earlier)
{
    for (slot_t slot = 0; slot < 40; slot++)
        policy_put(&policy, slot, slot < 20);
    for (unsigned round = 0; round < 10; round++) {
        unsigned found, huge;

        choose(SLOTS / LEAF_SLOTS + LEAF_SLOTS - 1, UINT64_MAX, 0, 20, &found, &huge);
        if (found > 0) {
            ck_assert_uint_eq(huge, 20);
            ck_assert_uint_eq(found, 20);
            return;
        }
    }
    ck_abort_msg("nothing was chosen");
}
END_TEST

START_TEST(no_more_than_wanted_is_chosen)
{
    unsigned found = 0;

    for (slot_t slot = 0; slot < COLD; slot++)
        policy_put(&policy, slot, false);
    for (unsigned i = 0; i < 10 && found == 0; i++)
        choose(SLOTS, 1000, 0, COLD, &found, NULL);
    ck_assert_uint_eq(found, 10); /* objects of 100 bytes */
}
END_TEST

START_TEST(when_all_is_used_the_least_used_go_in_the_end)
{
    unsigned found = 0;

    for (slot_t slot = 0; slot < COLD; slot++)
        policy_put(&policy, slot, false);
    for (unsigned i = 0; i < 20 && found == 0; i++) {
        for (slot_t slot = 0; slot < COLD; slot++)
            policy_access(&policy, slot);
        choose(ROUND, UINT64_MAX, 0, COLD, &found, NULL);
    }
    ck_assert_uint_gt(found, 0);
}
END_TEST

START_TEST(table_without_pages_is_barren)
{
    unsigned found, calls = 0;

    while (choose(VISITS, UINT64_MAX, 0, SLOTS, &found, NULL) != SELECT_BARREN)
        ck_assert_uint_lt(++calls, 10);
    policy_put(&policy, 3, false);
    calls = 0;
    do {
        choose(VISITS, UINT64_MAX, 0, SLOTS, &found, NULL);
        ck_assert_uint_lt(++calls, 10);
    } while (found == 0);
}
END_TEST

START_TEST(full_segment_stops_and_the_hand_stays)
{
    unsigned total = 0, found;

    for (slot_t slot = 0; slot < 3000; slot++)
        policy_put(&policy, slot, true);
    for (unsigned i = 0; i < 200 && total < 3000; i++) {
        choose(VISITS, UINT64_MAX, 0, SLOTS, &found, NULL);
        total += found;
    }
    ck_assert_uint_ge(total, 3000);
}
END_TEST

static void one_call(void)
{
    unsigned found;

    choose(VISITS, UINT64_MAX, 0, 1, &found, NULL);
}

static void begin(void)
{
    select_init(&chooser, &policy.parts);
}

START_TEST(call_is_bounded_at_4_tib)
{
    policy_check_cost_at_4_tib(&policy, 20 * VISITS, begin, one_call);
}
END_TEST

HARNESS_MAIN_WITH("unit-select", setup, teardown, cold_pages_go_and_used_ones_stay,
                  incompressible_pages_go_a_visit_earlier,
                  no_more_than_wanted_is_chosen,
                  when_all_is_used_the_least_used_go_in_the_end,
                  table_without_pages_is_barren, full_segment_stops_and_the_hand_stays,
                  call_is_bounded_at_4_tib)
