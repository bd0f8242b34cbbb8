/* unit-leaf.c - core/leaf.h
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "leaf.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "harness.h"

#define LEAVES 8

static struct memory memory;
static struct leaf_table table;

static void open_with_limit(uint64_t pages)
{
    memory_init(&memory, leaf_table_fixed_bytes(LEAVES) + pages * PAGE);
    ck_assert_int_eq(leaf_table_open(&table, LEAVES, &memory, false), 0);
    ck_assert_int_eq(leaf_table_start(&table), 0);
}

static void setup(void)
{
    open_with_limit(100);
}

static void teardown(void)
{
    for (uint64_t leaf = 0; leaf < LEAVES; leaf++) {
        leaf_free(&table, leaf);
        ck_assert(!leaf_is_present(&table, leaf));
    }
    ck_assert_uint_eq(memory_used_bytes(&memory), leaf_table_fixed_bytes(LEAVES));
    leaf_table_close(&table);
}

static bool in_ram(uint64_t leaf)
{
    unsigned char resident;

    ck_assert_int_eq(mincore(table.slots.base + leaf * PAGE, PAGE, &resident), 0);
    return resident & 1;
}

START_TEST(an_absent_leaf_has_no_ram_and_cannot_be_pinned)
{
    ck_assert(!leaf_is_present(&table, 3));
    ck_assert(!leaf_try_pin(&table, 3));
    ck_assert(!in_ram(3));
}
END_TEST

START_TEST(pin_makes_a_leaf_of_zeroes)
{
    static const char zeroes[PAGE];

    ck_assert_int_eq(leaf_pin(&table, 3), 0);
    ck_assert(leaf_is_present(&table, 3));
    ck_assert(in_ram(3));
    ck_assert(!in_ram(2) && !in_ram(4));
    ck_assert_mem_eq(table.slots.base + 3 * PAGE, zeroes, PAGE);
    leaf_unpin(&table, 3);
}
END_TEST

START_TEST(a_leaf_that_was_freed_has_no_ram_and_comes_back_as_zeroes)
{
    static const char zeroes[PAGE];

    ck_assert_int_eq(leaf_pin(&table, 5), 0);
    memset(table.slots.base + 5 * PAGE, 9, PAGE);
    leaf_unpin(&table, 5);
    leaf_free(&table, 5);
    ck_assert(!leaf_is_present(&table, 5));
    ck_assert(!in_ram(5));
    ck_assert_int_eq(leaf_pin(&table, 5), 0);
    ck_assert_mem_eq(table.slots.base + 5 * PAGE, zeroes, PAGE);
    leaf_unpin(&table, 5);
}
END_TEST

START_TEST(a_pin_keeps_a_leaf)
{
    ck_assert_int_eq(leaf_pin(&table, 0), 0);
    leaf_pin_again(&table, 0);
    leaf_unpin(&table, 0);
    leaf_free(&table, 0);
    ck_assert(leaf_is_present(&table, 0));
    ck_assert(leaf_try_pin(&table, 0));
    leaf_unpin(&table, 0);
    leaf_unpin(&table, 0);
}
END_TEST

START_TEST(a_page_keeps_a_leaf)
{
    ck_assert_int_eq(leaf_pin(&table, 7), 0);
    leaf_count(&table, 7, 1);
    leaf_count(&table, 7, 1);
    ck_assert_uint_eq(leaf_live(&table, 7), 2);
    leaf_count(&table, 7, -1);
    leaf_unpin(&table, 7);
    leaf_free(&table, 7);
    ck_assert(leaf_is_present(&table, 7));
    ck_assert(leaf_try_pin(&table, 7));
    leaf_count(&table, 7, -1);
    leaf_unpin(&table, 7);
    leaf_free(&table, 7);
    ck_assert(!leaf_is_present(&table, 7));
}
END_TEST

START_TEST(a_leaf_holds_256_pages)
{
    ck_assert_int_eq(leaf_pin(&table, 1), 0);
    for (unsigned i = 0; i < LEAF_SLOTS; i++)
        leaf_count(&table, 1, 1);
    ck_assert_uint_eq(leaf_live(&table, 1), 256);
    ck_assert(leaf_is_present(&table, 1));
    for (unsigned i = 0; i < LEAF_SLOTS; i++)
        leaf_count(&table, 1, -1);
    leaf_unpin(&table, 1);
}
END_TEST

START_TEST(past_the_limit_no_leaf_is_made)
{
    leaf_table_close(&table);
    open_with_limit(2);
    ck_assert_int_eq(leaf_pin(&table, 0), 0);
    ck_assert_int_eq(leaf_pin(&table, 1), 0);
    ck_assert_int_eq(leaf_pin(&table, 2), -ENOSPC);
    ck_assert(!leaf_is_present(&table, 2));
    ck_assert(!in_ram(2));
    leaf_unpin(&table, 0);
    leaf_free(&table, 0);
    ck_assert_int_eq(leaf_pin(&table, 2), 0);
    leaf_unpin(&table, 1);
    leaf_unpin(&table, 2);
}
END_TEST

START_TEST(a_leaf_that_cannot_be_made_stays_absent)
{
    harness_fail(GATE_LEAF_MAKE, 1, false, -ENOMEM);
    ck_assert_int_eq(leaf_pin(&table, 2), -ENOMEM);
    ck_assert(harness_fail_end());
    ck_assert(!leaf_is_present(&table, 2));
    ck_assert_int_eq(leaf_pin(&table, 2), 0);
    leaf_unpin(&table, 2);
}
END_TEST

START_TEST(directories_of_16_tib_are_what_they_say)
{
    const uint64_t leaves = (UINT64_C(1) << 32) / LEAF_SLOTS;
    struct leaf_table large;
    struct memory account;

    if (!harness_has_addresses())
        return;
    memory_init(&account, leaf_table_fixed_bytes(leaves) + PAGE);
    ck_assert_int_eq(leaf_table_open(&large, leaves, &account, false), 0);
    ck_assert_int_eq(leaf_table_start(&large), 0);
    ck_assert_uint_eq(memory_used_bytes(&account), leaf_table_fixed_bytes(leaves));
    ck_assert_int_eq(leaf_pin(&large, leaves - 1), 0);
    memset(large.slots.base + (leaves - 1) * PAGE, 1, PAGE);
    leaf_unpin(&large, leaves - 1);
    leaf_table_close(&large);
}
END_TEST

HARNESS_MAIN_WITH("unit-leaf", setup, teardown,
                  an_absent_leaf_has_no_ram_and_cannot_be_pinned,
                  pin_makes_a_leaf_of_zeroes,
                  a_leaf_that_was_freed_has_no_ram_and_comes_back_as_zeroes,
                  a_pin_keeps_a_leaf, a_page_keeps_a_leaf, a_leaf_holds_256_pages,
                  past_the_limit_no_leaf_is_made,
                  a_leaf_that_cannot_be_made_stays_absent,
                  directories_of_16_tib_are_what_they_say)
