/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "policy.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backing-faulty.h"
#include "content.h"

void policy_open(struct policy *policy, slot_t slots)
{
    const struct codec_choice choice = {.id = CODEC_LZ4};
    struct parts *parts = &policy->parts;

    memset(policy, 0, sizeof *policy);
    harness_memory(&parts->memory);
    ck_assert_int_eq(slot_table_open(&parts->slots, slots, &parts->memory, false), 0);
    ck_assert_int_eq(pool_open(&parts->pool, slots, &parts->memory, false), 0);
    ck_assert_int_eq(
        context_set_open(&parts->contexts, 2, choice, &parts->memory, false), 0);
    ck_assert_int_eq(slot_table_start(&parts->slots), 0);
    ck_assert_int_eq(pool_start(&parts->pool), 0);
    ck_assert_int_eq(context_set_start(&parts->contexts), 0);
    policy->faulty = faulty_new(64 * MIB);
    ck_assert_int_eq(space_open(&policy->space, 64 * MIB, &parts->memory, false), 0);
    ck_assert_int_eq(space_start(&policy->space), 0);
    ck_assert_int_eq(segment_set_open(&policy->segments, parts, &policy->space,
                                      faulty_backing(policy->faulty), false),
                     0);
    ck_assert_int_eq(segment_set_start(&policy->segments), 0);
}

void policy_close(struct policy *policy)
{
    struct parts *parts = &policy->parts;

    ck_assert_uint_eq(space_used_blocks(&policy->space), 0);
    segment_set_close(&policy->segments);
    space_close(&policy->space);
    faulty_backing(policy->faulty)->ops->close(faulty_backing(policy->faulty));
    context_set_close(&parts->contexts);
    pool_close(&parts->pool);
    slot_table_close(&parts->slots);
}

void policy_put(struct policy *policy, slot_t slot, bool huge)
{
    struct parts *parts = &policy->parts;
    struct slot_content new = {
        .state = SLOT_COMPRESSED, .codec = CODEC_LZ4, .length = 100};
    struct slot_content old;
    handle_t handle;

    if (huge)
        new = (struct slot_content){.state = SLOT_HUGE, .length = PAGE};
    ck_assert_int_eq(pool_alloc(&parts->pool, new.length, (uint32_t)slot, &handle), 0);
    new.ref = handle.value;
    ck_assert_int_eq(slot_put(&parts->slots, slot, &new, &old), 0);
    content_release(parts, &old);
}

void policy_access(struct policy *policy, slot_t slot)
{
    struct parts *parts = &policy->parts;
    struct slot_content content;
    struct context *context = context_take(&parts->contexts);

    if (slot_lock(&parts->slots, slot, SLOT_ACCESS, &content))
        slot_unlock(&parts->slots, slot);
    context_count_wanted(context, content.units);
    context_give(&parts->contexts, context);
}

struct segment *policy_segment(struct policy *policy)
{
    struct segment *segment;

    ck_assert_int_eq(segment_begin(&policy->segments, 0, &segment), 0);
    segment_add_aside(segment);
    return segment;
}

unsigned policy_take(struct segment *segment, slot_t first, slot_t end,
                     unsigned *of_these)
{
    unsigned objects = segment->objects;

    if (of_these)
        *of_these = 0;
    for (unsigned i = 0; of_these && i < objects; i++)
        *of_these += segment->table[i].ticket.slot >= first &&
                     segment->table[i].ticket.slot < end;
    segment_abandon(segment);
    return objects;
}

/* The least CPU time of several calls. */
static double least_ms(void (*call)(void))
{
    double least = 1e9;

    for (unsigned i = 0; i < 20; i++) {
        struct timespec start, end;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
        call();
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
        double ms = (double)(end.tv_sec - start.tv_sec) * 1e3 +
                    (double)(end.tv_nsec - start.tv_nsec) / 1e6;
        if (ms < least)
            least = ms;
    }
    return least;
}

/* The thread sanitizer and valgrind leave too few addresses for it. */
static slot_t slots_of_4_tib(void)
{
#ifdef HARNESS_TSAN
    return 4096;
#else
    return harness_is_slow() ? 4096 : (UINT64_C(4) << 40) / PAGE;
#endif
}

void policy_check_cost_at_4_tib(struct policy *policy, slot_t pages,
                                void (*begin)(void), void (*call)(void))
{
    slot_t slots = slots_of_4_tib();

    policy_close(policy);
    policy_open(policy, slots);
    begin();
    double sparse = least_ms(call);
    for (slot_t slot = 0; slot < pages && slot < slots; slot++)
        policy_put(policy, slot, false);
    begin();
    double full = least_ms(call);
    printf("4 TiB: %.3f ms a call where it is sparse, %.3f ms where it is not\n",
           sparse, full);
    if (!harness_is_slow()) {
        ck_assert_msg(sparse < 1, "%g ms", sparse);
        ck_assert_msg(full < 1, "%g ms", full);
    }
}
