/* unit-memory.c - core/memory.h
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "memory.h"

#include <errno.h>
#include <pthread.h>

#include "harness.h"

static struct memory memory;

START_TEST(the_limit_can_be_reached_and_not_passed)
{
    memory_init(&memory, 100);
    ck_assert_int_eq(memory_charge(&memory, 60), 0);
    ck_assert_int_eq(memory_charge(&memory, 41), -ENOSPC);
    ck_assert_int_eq(memory_charge(&memory, 40), 0);
    ck_assert_uint_eq(memory_used_bytes(&memory), 100);
    ck_assert_int_eq(memory_charge(&memory, 1), -ENOSPC);
    ck_assert_int_eq(memory_charge(&memory, 0), 0);
    memory_uncharge(&memory, 1);
    ck_assert_int_eq(memory_charge(&memory, 1), 0);
}
END_TEST

START_TEST(a_charge_that_fails_changes_nothing)
{
    memory_init(&memory, 100);
    ck_assert_int_eq(memory_charge(&memory, 10), 0);
    ck_assert_int_eq(memory_charge(&memory, 1000), -ENOSPC);
    ck_assert_int_eq(memory_charge(&memory, UINT64_MAX), -ENOSPC);
    ck_assert_uint_eq(memory_used_bytes(&memory), 10);
    ck_assert_uint_eq(memory.peak_bytes, 10);
}
END_TEST

START_TEST(the_peak_stays_when_use_falls)
{
    memory_init(&memory, UINT64_MAX);
    ck_assert_int_eq(memory_charge(&memory, 70), 0);
    memory_uncharge(&memory, 50);
    ck_assert_int_eq(memory_charge(&memory, 10), 0);
    ck_assert_uint_eq(memory.peak_bytes, 70);
    ck_assert_uint_eq(memory_used_bytes(&memory), 30);
}
END_TEST

static void *charge_and_give_back(void *opaque)
{
    unsigned long turns = *(unsigned long *)opaque;

    for (unsigned long i = 0; i < turns; i++) {
        while (memory_charge(&memory, 3) < 0)
            ;
        ck_assert_uint_le(memory_used_bytes(&memory), 7);
        memory_uncharge(&memory, 3);
    }
    return NULL;
}

START_TEST(threads_that_charge_keep_the_limit)
{
    unsigned long turns = harness_ops(100000);
    pthread_t threads[3];

    memory_init(&memory, 7);
    for (unsigned i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, charge_and_give_back, &turns);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(memory_used_bytes(&memory), 0);
    ck_assert_uint_le(memory.peak_bytes, 7);
}
END_TEST

HARNESS_MAIN("unit-memory", the_limit_can_be_reached_and_not_passed,
             a_charge_that_fails_changes_nothing, the_peak_stays_when_use_falls,
             threads_that_charge_keep_the_limit)
