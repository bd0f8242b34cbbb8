/* unit-slot.c - core/slot.h: edges of the request path, tickets, runs
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "codec.h"
#include "harness.h"
#include "slots.h"

static const struct slot_content *const puttable[] = {&slots_same, &slots_compressed,
                                                      &slots_huge};

static void take_ticket(slot_t slot, struct slot_ticket *ticket)
{
    struct slot_content content;

    ck_assert_int_eq(slot_lock_made(&slots_table, slot, SLOT_INSPECT, &content), 0);
    slot_ticket_take_locked(&slots_table, slot, ticket);
    slot_unlock(&slots_table, slot);
}

static uint32_t version(slot_t slot)
{
    struct slot_ticket ticket;

    take_ticket(slot, &ticket);
    slot_ticket_close(&slots_table, &ticket);
    return ticket.version;
}

START_TEST(a_slot_without_a_leaf_is_empty_and_is_not_locked)
{
    struct slot_content content = slots_huge;

    ck_assert(!slot_lock(&slots_table, 5, SLOT_ACCESS, &content));
    slots_assert_content(&content, &slots_empty);
    ck_assert_uint_eq(memory_used_bytes(&slots_memory), slot_table_fixed_bytes(SLOTS));
}
END_TEST

START_TEST(every_put_returns_what_was_there)
{
    for (unsigned i = 0; i < 3; i++)
        for (unsigned j = 0; j < 3; j++) {
            struct slot_content old;

            slots_put(9, puttable[i], &slots_empty);
            slots_put(9, puttable[j], puttable[i]);
            slot_clear(&slots_table, 9, &old);
            slots_assert_content(&old, puttable[j]);
            slots_assert(9, &slots_empty);
        }
}
END_TEST

START_TEST(neighbours_and_the_last_slot_are_untouched)
{
    slots_put(SLOTS - 1, &slots_huge, &slots_empty);
    slots_put(255, &slots_same, &slots_empty);
    slots_put(256, &slots_compressed, &slots_empty);
    slots_assert(254, &slots_empty);
    slots_assert(257, &slots_empty);
    slots_assert(SLOTS - 2, &slots_empty);
    slots_assert(255, &slots_same);
}
END_TEST

START_TEST(every_edge_advances_the_version)
{
    struct slot_content old, content;
    struct slot_ticket ticket;

    slots_put(1, &slots_compressed, &slots_empty);
    uint32_t v = version(1);
    slots_put(1, &slots_compressed, &slots_compressed); /* even to the same content */
    ck_assert_uint_eq(version(1), ++v);
    ck_assert(slot_lock(&slots_table, 1, SLOT_INSPECT, &content));
    slot_move_locked(&slots_table, 1, 0x999);
    slot_unlock(&slots_table, 1);
    ck_assert_uint_eq(version(1), ++v);
    take_ticket(1, &ticket);
    ck_assert_int_eq(slot_put_if(&slots_table, &ticket, &slots_huge, &old), 0);
    slot_ticket_close(&slots_table, &ticket);
    ck_assert_uint_eq(version(1), ++v);
    slot_clear(&slots_table, 1, &old);
    ck_assert_uint_eq(version(1), ++v);
    slot_clear(&slots_table, 1, &old);
    ck_assert_uint_eq(version(1), ++v);
}
END_TEST

START_TEST(looking_and_ageing_do_not_advance_the_version)
{
    struct slot_content content;

    slots_put(1, &slots_compressed, &slots_empty);
    uint32_t v = version(1);
    ck_assert(slot_lock(&slots_table, 1, SLOT_ACCESS, &content));
    slot_unlock(&slots_table, 1);
    struct slot_age age;
    slot_grow_older(&slots_table, 1, 1, &age);
    slot_visit(&slots_table, 1, &age);
    slot_look(&slots_table, 1, &age);
    ck_assert_uint_eq(version(1), v);
}
END_TEST

START_TEST(a_ticket_that_holds_is_honoured)
{
    struct slot_content old;
    struct slot_ticket ticket;

    slots_put(3, &slots_compressed, &slots_empty);
    take_ticket(3, &ticket);
    ck_assert_uint_eq(ticket.slot, 3);
    slots_assert_content(&ticket.content, &slots_compressed);
    ck_assert_int_eq(slot_put_if(&slots_table, &ticket, &slots_same, &old), 0);
    slots_assert_content(&old, &slots_compressed);
    slots_assert(3, &slots_same);
    /* It is used up. */
    ck_assert_int_eq(slot_put_if(&slots_table, &ticket, &slots_huge, &old), -ESTALE);
    slots_assert(3, &slots_same);
    slot_ticket_close(&slots_table, &ticket);

    take_ticket(3, &ticket);
    ck_assert_int_eq(slot_clear_if(&slots_table, &ticket, &old), 0);
    slots_assert_content(&old, &slots_same);
    slots_assert(3, &slots_empty);
    slot_ticket_close(&slots_table, &ticket);
}
END_TEST

static void stale_put(slot_t slot)
{
    struct slot_content old;

    ck_assert_int_eq(slot_put(&slots_table, slot, &slots_compressed, &old), 0);
}

static void stale_clear(slot_t slot)
{
    struct slot_content old;

    slot_clear(&slots_table, slot, &old);
}

static void stale_clear_and_put_back(slot_t slot)
{
    stale_clear(slot);
    stale_put(slot);
}

static void stale_move(slot_t slot)
{
    struct slot_content content;

    ck_assert(slot_lock(&slots_table, slot, SLOT_INSPECT, &content));
    slot_move_locked(&slots_table, slot, 0x4242);
    slot_unlock(&slots_table, slot);
}

START_TEST(a_ticket_is_stale_after_any_edge)
{
    static void (*const edges[])(slot_t slot) = {stale_put, stale_clear,
                                                 stale_clear_and_put_back, stale_move};

    for (unsigned i = 0; i < 4; i++) {
        struct slot_content old, before;
        struct slot_ticket ticket;

        ck_assert_int_eq(slot_put(&slots_table, 2, &slots_compressed, &old), 0);
        take_ticket(2, &ticket);
        edges[i](2);
        if (!slot_lock(&slots_table, 2, SLOT_INSPECT, &before))
            ck_abort_msg("the ticket's leaf is gone");
        slot_unlock(&slots_table, 2);
        ck_assert_int_eq(slot_put_if(&slots_table, &ticket, &slots_same, &old),
                         -ESTALE);
        slots_assert(2, &before);
        ck_assert_int_eq(slot_clear_if(&slots_table, &ticket, &old), -ESTALE);
        slots_assert(2, &before);
        slot_ticket_close(&slots_table, &ticket);
    }
}
END_TEST

START_TEST(a_ticket_for_an_empty_slot_is_stale_after_a_clear)
{
    struct slot_content old;
    struct slot_ticket ticket;

    take_ticket(4, &ticket);
    slot_clear(&slots_table, 4, &old);
    ck_assert_int_eq(slot_put_if(&slots_table, &ticket, &slots_same, &old), -ESTALE);
    slot_ticket_close(&slots_table, &ticket);
}
END_TEST

START_TEST(a_ticket_keeps_versions_from_starting_anew)
{
    struct slot_content old;
    struct slot_ticket ticket;

    take_ticket(4, &ticket); /* version 0 of a new leaf */
    slot_free_leaves(&slots_table);
    slots_put(5, &slots_same, &slots_empty);
    slot_clear(&slots_table, 5, &old);
    slot_free_leaf(&slots_table, 5);
    ck_assert_uint_gt(memory_used_bytes(&slots_memory), slot_table_fixed_bytes(SLOTS));
    ck_assert_int_eq(slot_put_if(&slots_table, &ticket, &slots_same, &old), 0);
    slot_ticket_close(&slots_table, &ticket);
    slots_assert(4, &slots_same);
}
END_TEST

START_TEST(versions_wrap_without_touching_other_fields)
{
    _Atomic uint64_t *meta =
        (_Atomic uint64_t *)(slots_table.leaves.slots.base + 6 * SLOT_BYTES);
    struct slot_content old;

    slots_put(6, &slots_compressed, &slots_empty);
    *meta |= UINT64_C(0xffffffff) << 32;
    ck_assert_uint_eq(version(6), UINT32_MAX);
    stale_move(6);
    ck_assert_uint_eq(version(6), 0);
    ck_assert_int_eq(slot_put(&slots_table, 6, &slots_same, &old), 0);
    ck_assert_uint_eq(version(6), 1);
    slots_assert(6, &slots_same);
}
END_TEST

START_TEST(move_changes_the_handle_and_nothing_else)
{
    struct slot_content moved = slots_compressed, content;

    moved.ref = 0x4242;
    slots_put(7, &slots_compressed, &slots_empty);
    stale_move(7);
    slots_assert(7, &moved);
    slot_lock(&slots_table, 7, SLOT_INSPECT, &content);
    ck_assert_uint_eq(slot_marks_locked(&slots_table, 7), 0);
    slot_unlock(&slots_table, 7);
}
END_TEST

/* -- Illegal edges and contents.  Children have a table of their own: they die with a slot locked,
 * and the table that was opened before the fork is shared. -- */

static void put_content(void *opaque)
{
    struct slot_content old;

    slots_setup();
    slot_put(&slots_table, 8, opaque, &old);
}

static void put_content_by_ticket(void *opaque)
{
    struct slot_content old;
    struct slot_ticket ticket;

    slots_setup();
    take_ticket(8, &ticket);
    slot_put_if(&slots_table, &ticket, opaque, &old);
}

START_TEST(contents_that_the_machine_does_not_have_are_caught)
{
    struct slot_content bad[] = {
        {.state = SLOT_EMPTY},
        {.state = SLOT_STORED, .codec = CODEC_LZ4, .length = 10, .ref = 1},
        {.state = SLOT_SAME, .ref = 0},
        {.state = SLOT_SAME, .length = 1, .ref = 1},
        {.state = SLOT_SAME, .codec = CODEC_LZ4, .ref = 1},
        {.state = SLOT_COMPRESSED, .codec = CODEC_LZ4, .length = 0, .ref = 1},
        {.state = SLOT_COMPRESSED, .codec = CODEC_LZ4, .length = PAGE, .ref = 1},
        {.state = SLOT_COMPRESSED, .codec = CODEC_NONE, .length = 10, .ref = 1},
        {.state = SLOT_HUGE, .codec = CODEC_LZ4, .length = PAGE, .ref = 1},
        {.state = SLOT_HUGE, .length = PAGE - 1, .ref = 1},
        {.state = SLOT_STATE_COUNT, .ref = 1},
        {.state = 7, .ref = 1},
    };

    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(harness_aborts(put_content, &bad[i]), "content %u", i);
        ck_assert_msg(harness_aborts(put_content_by_ticket, &bad[i]), "content %u", i);
    }
}
END_TEST

/* A locked slot of a table of its own, with CONTENT. */
static void lock_with(const struct slot_content *content)
{
    struct slot_content old;

    slots_setup();
    if (content->state != SLOT_EMPTY)
        slot_put(&slots_table, 8, content, &old);
    slot_lock_made(&slots_table, 8, SLOT_INSPECT, &old);
}

static void move_slot(void *opaque)
{
    lock_with(opaque);
    slot_move_locked(&slots_table, 8, 1);
}

static void fetch_slot(void *opaque)
{
    struct slot_ticket ticket;

    lock_with(opaque);
    slot_begin_fetching_locked(&slots_table, 8, &ticket);
}

static void use_slot_past_the_end(void *opaque)
{
    struct slot_content content;

    (void)opaque;
    slots_setup();
    slot_lock_made(&slots_table, SLOTS, SLOT_INSPECT, &content);
}

START_TEST(edges_that_the_machine_does_not_have_are_caught)
{
    ck_assert(harness_aborts(move_slot, (void *)&slots_empty));
    ck_assert(harness_aborts(move_slot, (void *)&slots_same));
    ck_assert(!harness_aborts(move_slot, (void *)&slots_compressed));
    ck_assert(!harness_aborts(move_slot, (void *)&slots_huge));
    ck_assert(harness_aborts(fetch_slot, (void *)&slots_empty));
    ck_assert(harness_aborts(fetch_slot, (void *)&slots_same));
    ck_assert(harness_aborts(fetch_slot, (void *)&slots_compressed));
    ck_assert(harness_aborts(use_slot_past_the_end, NULL));
}
END_TEST

#ifdef ZSLOT_DEBUG
static void lock_another(void *opaque)
{
    struct slot_content content;

    lock_with(opaque);
    slot_lock_made(&slots_table, 9, SLOT_INSPECT, &content);
}

static void unlock_twice(void *opaque)
{
    lock_with(opaque);
    slot_unlock(&slots_table, 8);
    slot_unlock(&slots_table, 8);
}

static void charge_under_the_lock(void *opaque)
{
    lock_with(opaque);
    (void)memory_charge(&slots_memory, 1);
}

START_TEST(a_second_slot_lock_and_memory_under_one_are_caught)
{
    ck_assert(harness_aborts(lock_another, (void *)&slots_same));
    ck_assert(harness_aborts(unlock_twice, (void *)&slots_same));
    ck_assert(harness_aborts(charge_under_the_lock, (void *)&slots_same));
}
END_TEST
#else
START_TEST(a_second_slot_lock_and_memory_under_one_are_caught)
{
}
END_TEST
#endif

START_TEST(check_sees_an_entry_that_is_not_legal)
{
    _Atomic uint64_t *meta =
        (_Atomic uint64_t *)(slots_table.leaves.slots.base + 8 * SLOT_BYTES);
    /* state 7; WRITING on a SAME page; FETCHING on a compressed one; a length on a SAME one */
    static const uint64_t damage[] = {7 << 2, 1 << 2 | 1 << 5, 2 << 2 | 2 << 5,
                                      1 << 2 | 1 << 12};

    slots_put(8, &slots_same, &slots_empty);
    for (unsigned i = 0; i < sizeof damage / sizeof *damage; i++) {
        uint64_t good = *meta;
        *meta = damage[i];
        ck_assert_int_eq(slot_check(&slots_table, 8), -EUCLEAN);
        *meta = good;
        ck_assert_int_eq(slot_check(&slots_table, 8), 0);
    }
}
END_TEST

/* -- Runs. -- */

START_TEST(runs_are_as_long_as_slots_are_alike)
{
    bool is_empty;

    for (slot_t slot = 250; slot < 270; slot++)
        slots_put(slot, &slots_same, &slots_empty);
    ck_assert_uint_eq(slot_run(&slots_table, 0, SLOTS, &is_empty), 250);
    ck_assert(is_empty);
    ck_assert_uint_eq(slot_run(&slots_table, 250, SLOTS - 250, &is_empty), 20);
    ck_assert(!is_empty);
    ck_assert_uint_eq(slot_run(&slots_table, 255, 3, &is_empty), 3);
    ck_assert(!is_empty);
    ck_assert_uint_eq(slot_run(&slots_table, 269, 500, &is_empty), 1);
    ck_assert_uint_eq(slot_run(&slots_table, 270, SLOTS - 270, &is_empty), SLOTS - 270);
    ck_assert(is_empty);
    /* An absent leaf after a full one. */
    for (slot_t slot = 270; slot < 512; slot++)
        slots_put(slot, &slots_same, &slots_empty);
    ck_assert_uint_eq(slot_run(&slots_table, 260, SLOTS - 260, &is_empty), 252);
    ck_assert(!is_empty);
}
END_TEST

START_TEST(next_present_skips_leaves_without_ram)
{
    ck_assert_uint_eq(slot_next_present(&slots_table, 0, SLOTS), SLOTS);
    slots_put(600, &slots_same, &slots_empty);
    ck_assert_uint_eq(slot_next_present(&slots_table, 0, SLOTS), 512);
    ck_assert_uint_eq(slot_next_present(&slots_table, 600, SLOTS), 600);
    ck_assert_uint_eq(slot_next_present(&slots_table, 0, 100), 100);
    ck_assert_uint_eq(slot_next_present(&slots_table, 768, SLOTS), SLOTS);
    ck_assert_uint_eq(slot_next_present(&slots_table, 0, 512), 512);
}
END_TEST

START_TEST(letters_differ)
{
    for (unsigned i = 0; i < SLOT_STATE_COUNT; i++)
        for (unsigned j = 0; j < i; j++)
            ck_assert_int_ne(slot_state_letter(i), slot_state_letter(j));
    ck_assert_int_eq(slot_state_letter(SLOT_COMPRESSED), 'c');
}
END_TEST

HARNESS_MAIN_WITH(
    "unit-slot", slots_setup, slots_teardown,
    a_slot_without_a_leaf_is_empty_and_is_not_locked, every_put_returns_what_was_there,
    neighbours_and_the_last_slot_are_untouched, every_edge_advances_the_version,
    looking_and_ageing_do_not_advance_the_version, a_ticket_that_holds_is_honoured,
    a_ticket_is_stale_after_any_edge, a_ticket_for_an_empty_slot_is_stale_after_a_clear,
    a_ticket_keeps_versions_from_starting_anew,
    versions_wrap_without_touching_other_fields,
    move_changes_the_handle_and_nothing_else,
    contents_that_the_machine_does_not_have_are_caught,
    edges_that_the_machine_does_not_have_are_caught,
    a_second_slot_lock_and_memory_under_one_are_caught,
    check_sees_an_entry_that_is_not_legal, runs_are_as_long_as_slots_are_alike,
    next_present_skips_leaves_without_ram, letters_differ)
