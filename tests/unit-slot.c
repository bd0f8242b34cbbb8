/* unit-slot.c - core/slot.h: edges of the request path, tickets, ages
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "slot.h"

#include <errno.h>
#include <string.h>

#include "codec.h"
#include "harness.h"

#define SLOTS 1000

static struct memory memory;
static struct slot_table table;

static const struct slot_content empty = {.state = SLOT_EMPTY};
static const struct slot_content same = {.state = SLOT_SAME, .ref = 0x5a5a};
static const struct slot_content compressed = {
    .state = SLOT_COMPRESSED, .codec = CODEC_LZ4, .length = 700, .ref = 0x123456};
static const struct slot_content huge = {
    .state = SLOT_HUGE, .codec = CODEC_NONE, .length = PAGE, .ref = 0x7654321};
static const struct slot_content *const puttable[] = {&same, &compressed, &huge};

static void setup(void)
{
    harness_memory(&memory);
    ck_assert_int_eq(slot_table_open(&table, SLOTS, &memory, false), 0);
    ck_assert_int_eq(slot_table_start(&table), 0);
}

static void teardown(void)
{
    struct slot_content old;

    for (slot_t slot = 0; slot < SLOTS; slot++) {
        ck_assert_int_eq(slot_check(&table, slot), 0);
        slot_clear(&table, slot, &old);
    }
    slot_free_leaves(&table);
    /* No pin was forgotten: all leaves could go. */
    ck_assert_uint_eq(memory_used_bytes(&memory), slot_table_fixed_bytes(SLOTS));
    slot_table_close(&table);
}

static void assert_content(const struct slot_content *is,
                           const struct slot_content *should)
{
    ck_assert_int_eq(is->state, should->state);
    ck_assert_int_eq(is->codec, should->codec);
    ck_assert_int_eq(is->length, should->length);
    ck_assert_uint_eq(is->ref, should->ref);
}

static void assert_slot(slot_t slot, const struct slot_content *should)
{
    struct slot_content content;

    if (slot_lock(&table, slot, SLOT_INSPECT, &content))
        slot_unlock(&table, slot);
    assert_content(&content, should);
    ck_assert_int_eq(slot_check(&table, slot), 0);
}

static void put(slot_t slot, const struct slot_content *new,
                const struct slot_content *before)
{
    struct slot_content old;

    ck_assert_int_eq(slot_put(&table, slot, new, &old), 0);
    assert_content(&old, before);
    assert_slot(slot, new);
}

static void take_ticket(slot_t slot, struct slot_ticket *ticket)
{
    struct slot_content content;

    ck_assert_int_eq(slot_lock_made(&table, slot, SLOT_INSPECT, &content), 0);
    slot_ticket_take_locked(&table, slot, ticket);
    slot_unlock(&table, slot);
}

static uint32_t version(slot_t slot)
{
    struct slot_ticket ticket;

    take_ticket(slot, &ticket);
    slot_ticket_close(&table, &ticket);
    return ticket.version;
}

START_TEST(a_slot_without_a_leaf_is_empty_and_is_not_locked)
{
    struct slot_content content = huge;

    ck_assert(!slot_lock(&table, 5, SLOT_ACCESS, &content));
    assert_content(&content, &empty);
    ck_assert_uint_eq(memory_used_bytes(&memory), slot_table_fixed_bytes(SLOTS));
}
END_TEST

START_TEST(every_put_returns_what_was_there)
{
    for (unsigned i = 0; i < 3; i++)
        for (unsigned j = 0; j < 3; j++) {
            struct slot_content old;

            put(9, puttable[i], &empty);
            put(9, puttable[j], puttable[i]);
            slot_clear(&table, 9, &old);
            assert_content(&old, puttable[j]);
            assert_slot(9, &empty);
        }
}
END_TEST

START_TEST(neighbours_and_the_last_slot_are_untouched)
{
    put(SLOTS - 1, &huge, &empty);
    put(255, &same, &empty);
    put(256, &compressed, &empty);
    assert_slot(254, &empty);
    assert_slot(257, &empty);
    assert_slot(SLOTS - 2, &empty);
    assert_slot(255, &same);
}
END_TEST

START_TEST(every_edge_advances_the_version)
{
    struct slot_content old, content;
    struct slot_ticket ticket;

    put(1, &compressed, &empty);
    uint32_t v = version(1);
    put(1, &compressed, &compressed); /* even to the same content */
    ck_assert_uint_eq(version(1), ++v);
    ck_assert(slot_lock(&table, 1, SLOT_INSPECT, &content));
    slot_move_locked(&table, 1, 0x999);
    slot_unlock(&table, 1);
    ck_assert_uint_eq(version(1), ++v);
    take_ticket(1, &ticket);
    ck_assert_int_eq(slot_put_if(&table, &ticket, &huge, &old), 0);
    slot_ticket_close(&table, &ticket);
    ck_assert_uint_eq(version(1), ++v);
    slot_clear(&table, 1, &old);
    ck_assert_uint_eq(version(1), ++v);
    slot_clear(&table, 1, &old);
    ck_assert_uint_eq(version(1), ++v);
}
END_TEST

START_TEST(looking_and_ageing_do_not_advance_the_version)
{
    struct slot_content content;

    put(1, &compressed, &empty);
    uint32_t v = version(1);
    ck_assert(slot_lock(&table, 1, SLOT_ACCESS, &content));
    slot_unlock(&table, 1);
    struct slot_age age;
    slot_grow_older(&table, 1, 1, &age);
    slot_visit(&table, 1, &age);
    slot_look(&table, 1, &age);
    ck_assert_uint_eq(version(1), v);
}
END_TEST

START_TEST(a_ticket_that_holds_is_honoured)
{
    struct slot_content old;
    struct slot_ticket ticket;

    put(3, &compressed, &empty);
    take_ticket(3, &ticket);
    ck_assert_uint_eq(ticket.slot, 3);
    assert_content(&ticket.content, &compressed);
    ck_assert_int_eq(slot_put_if(&table, &ticket, &same, &old), 0);
    assert_content(&old, &compressed);
    assert_slot(3, &same);
    /* It is used up. */
    ck_assert_int_eq(slot_put_if(&table, &ticket, &huge, &old), -ESTALE);
    assert_slot(3, &same);
    slot_ticket_close(&table, &ticket);

    take_ticket(3, &ticket);
    ck_assert_int_eq(slot_clear_if(&table, &ticket, &old), 0);
    assert_content(&old, &same);
    assert_slot(3, &empty);
    slot_ticket_close(&table, &ticket);
}
END_TEST

static void stale_put(slot_t slot)
{
    struct slot_content old;

    ck_assert_int_eq(slot_put(&table, slot, &compressed, &old), 0);
}

static void stale_clear(slot_t slot)
{
    struct slot_content old;

    slot_clear(&table, slot, &old);
}

static void stale_clear_and_put_back(slot_t slot)
{
    stale_clear(slot);
    stale_put(slot);
}

static void stale_move(slot_t slot)
{
    struct slot_content content;

    ck_assert(slot_lock(&table, slot, SLOT_INSPECT, &content));
    slot_move_locked(&table, slot, 0x4242);
    slot_unlock(&table, slot);
}

START_TEST(a_ticket_is_stale_after_any_edge)
{
    static void (*const edges[])(slot_t slot) = {stale_put, stale_clear,
                                                 stale_clear_and_put_back, stale_move};

    for (unsigned i = 0; i < 4; i++) {
        struct slot_content old, before;
        struct slot_ticket ticket;

        ck_assert_int_eq(slot_put(&table, 2, &compressed, &old), 0);
        take_ticket(2, &ticket);
        edges[i](2);
        if (!slot_lock(&table, 2, SLOT_INSPECT, &before))
            ck_abort_msg("the ticket's leaf is gone");
        slot_unlock(&table, 2);
        ck_assert_int_eq(slot_put_if(&table, &ticket, &same, &old), -ESTALE);
        assert_slot(2, &before);
        ck_assert_int_eq(slot_clear_if(&table, &ticket, &old), -ESTALE);
        assert_slot(2, &before);
        slot_ticket_close(&table, &ticket);
    }
}
END_TEST

START_TEST(a_ticket_for_an_empty_slot_is_stale_after_a_clear)
{
    struct slot_content old;
    struct slot_ticket ticket;

    take_ticket(4, &ticket);
    slot_clear(&table, 4, &old);
    ck_assert_int_eq(slot_put_if(&table, &ticket, &same, &old), -ESTALE);
    slot_ticket_close(&table, &ticket);
}
END_TEST

START_TEST(a_ticket_keeps_versions_from_starting_anew)
{
    struct slot_content old;
    struct slot_ticket ticket;

    take_ticket(4, &ticket); /* version 0 of a new leaf */
    slot_free_leaves(&table);
    put(5, &same, &empty);
    slot_clear(&table, 5, &old);
    slot_free_leaf(&table, 5);
    ck_assert_uint_gt(memory_used_bytes(&memory), slot_table_fixed_bytes(SLOTS));
    ck_assert_int_eq(slot_put_if(&table, &ticket, &same, &old), 0);
    slot_ticket_close(&table, &ticket);
    assert_slot(4, &same);
}
END_TEST

START_TEST(versions_wrap_without_touching_other_fields)
{
    _Atomic uint64_t *meta =
        (_Atomic uint64_t *)(table.leaves.slots.base + 6 * SLOT_BYTES);
    struct slot_content old;

    put(6, &compressed, &empty);
    *meta |= UINT64_C(0xffffffff) << 32;
    ck_assert_uint_eq(version(6), UINT32_MAX);
    stale_move(6);
    ck_assert_uint_eq(version(6), 0);
    ck_assert_int_eq(slot_put(&table, 6, &same, &old), 0);
    ck_assert_uint_eq(version(6), 1);
    assert_slot(6, &same);
}
END_TEST

START_TEST(move_changes_the_handle_and_nothing_else)
{
    struct slot_content moved = compressed, content;

    moved.ref = 0x4242;
    put(7, &compressed, &empty);
    stale_move(7);
    assert_slot(7, &moved);
    slot_lock(&table, 7, SLOT_INSPECT, &content);
    ck_assert_uint_eq(slot_marks_locked(&table, 7), 0);
    slot_unlock(&table, 7);
}
END_TEST

/* -- Illegal edges and contents.  Children have a table of their own: they die with a slot locked,
 * and the table that was opened before the fork is shared. -- */

static void put_content(void *opaque)
{
    struct slot_content old;

    setup();
    slot_put(&table, 8, opaque, &old);
}

static void put_content_by_ticket(void *opaque)
{
    struct slot_content old;
    struct slot_ticket ticket;

    setup();
    take_ticket(8, &ticket);
    slot_put_if(&table, &ticket, opaque, &old);
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

    setup();
    if (content->state != SLOT_EMPTY)
        slot_put(&table, 8, content, &old);
    slot_lock_made(&table, 8, SLOT_INSPECT, &old);
}

static void move_slot(void *opaque)
{
    lock_with(opaque);
    slot_move_locked(&table, 8, 1);
}

static void fetch_slot(void *opaque)
{
    struct slot_ticket ticket;

    lock_with(opaque);
    slot_begin_fetching_locked(&table, 8, &ticket);
}

static void use_slot_past_the_end(void *opaque)
{
    struct slot_content content;

    (void)opaque;
    setup();
    slot_lock_made(&table, SLOTS, SLOT_INSPECT, &content);
}

START_TEST(edges_that_the_machine_does_not_have_are_caught)
{
    ck_assert(harness_aborts(move_slot, (void *)&empty));
    ck_assert(harness_aborts(move_slot, (void *)&same));
    ck_assert(!harness_aborts(move_slot, (void *)&compressed));
    ck_assert(!harness_aborts(move_slot, (void *)&huge));
    ck_assert(harness_aborts(fetch_slot, (void *)&empty));
    ck_assert(harness_aborts(fetch_slot, (void *)&same));
    ck_assert(harness_aborts(fetch_slot, (void *)&compressed));
    ck_assert(harness_aborts(use_slot_past_the_end, NULL));
}
END_TEST

#ifdef ZSLOT_DEBUG
static void lock_another(void *opaque)
{
    struct slot_content content;

    lock_with(opaque);
    slot_lock_made(&table, 9, SLOT_INSPECT, &content);
}

static void unlock_twice(void *opaque)
{
    lock_with(opaque);
    slot_unlock(&table, 8);
    slot_unlock(&table, 8);
}

static void charge_under_the_lock(void *opaque)
{
    lock_with(opaque);
    (void)memory_charge(&memory, 1);
}

START_TEST(a_second_slot_lock_and_memory_under_one_are_caught)
{
    ck_assert(harness_aborts(lock_another, (void *)&same));
    ck_assert(harness_aborts(unlock_twice, (void *)&same));
    ck_assert(harness_aborts(charge_under_the_lock, (void *)&same));
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
        (_Atomic uint64_t *)(table.leaves.slots.base + 8 * SLOT_BYTES);
    /* state 7; WRITING on a SAME page; FETCHING on a compressed one; a length on a SAME one */
    static const uint64_t damage[] = {7 << 2, 1 << 2 | 1 << 5, 2 << 2 | 2 << 5,
                                      1 << 2 | 1 << 12};

    put(8, &same, &empty);
    for (unsigned i = 0; i < sizeof damage / sizeof *damage; i++) {
        uint64_t good = *meta;
        *meta = damage[i];
        ck_assert_int_eq(slot_check(&table, 8), -EUCLEAN);
        *meta = good;
        ck_assert_int_eq(slot_check(&table, 8), 0);
    }
}
END_TEST

/* -- Ages. -- */

static unsigned marks(slot_t slot)
{
    struct slot_content content;

    ck_assert_int_eq(slot_lock_made(&table, slot, SLOT_INSPECT, &content), 0);
    unsigned is = slot_marks_locked(&table, slot);
    slot_unlock(&table, slot);
    return is;
}

typedef void grow_fn(slot_t slot, struct slot_age *before);

static void by_the_clock(slot_t slot, struct slot_age *before)
{
    slot_grow_older(&table, slot, 3, before);
}

static void by_visits(slot_t slot, struct slot_age *before)
{
    slot_visit(&table, slot, before);
}

/* Grows the slot MOST + 3 times and looks at the age in FIELD; IDLE comes at the third. */
static void grow(grow_fn *older, size_t field, unsigned most)
{
    for (unsigned times = 1; times <= most + 3; times++) {
        struct slot_age before, now;

        older(1, &before);
        slot_look(&table, 1, &now);
        ck_assert_uint_eq(((uint8_t *)&before)[field],
                          times <= most ? times - 1 : most);
        ck_assert_uint_eq(((uint8_t *)&now)[field], times < most ? times : most);
        ck_assert_uint_eq(now.state, SLOT_COMPRESSED);
        ck_assert_uint_eq(marks(1), times >= 3 ? SLOT_IDLE : 0);
        assert_slot(1, &compressed);
    }
}

static void assert_young(void)
{
    struct slot_age age;

    slot_look(&table, 1, &age);
    ck_assert_uint_eq(age.visits, 0);
    ck_assert_uint_eq(age.units, 0);
    ck_assert_uint_eq(marks(1), 0);
}

START_TEST(ages_grow_to_the_most_there_is_and_access_resets_them)
{
    struct slot_content content;
    struct slot_age age;

    put(1, &compressed, &empty);
    grow(by_the_clock, offsetof(struct slot_age, units), SLOT_UNITS_MAX);
    ck_assert(slot_lock(&table, 1, SLOT_ACCESS, &content));
    ck_assert_uint_eq(content.units, SLOT_UNITS_MAX);
    slot_unlock(&table, 1);
    assert_young();
    grow(by_visits, offsetof(struct slot_age, visits), SLOT_VISITS_MAX);
    by_the_clock(1, &age);
    /* So does a write. */
    put(1, &huge, &compressed);
    assert_young();
}
END_TEST

START_TEST(the_two_ages_do_not_disturb_each_other)
{
    struct slot_age age;

    put(1, &compressed, &empty);
    for (unsigned i = 0; i < 40; i++)
        by_visits(1, &age);
    slot_look(&table, 1, &age);
    ck_assert_uint_eq(age.units, 0);
    for (unsigned i = 0; i < 40; i++)
        by_the_clock(1, &age);
    slot_look(&table, 1, &age);
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
        slot_look(&table, 2, &age);
        ck_assert_uint_eq(age.state, SLOT_EMPTY);
        ck_assert_uint_eq(age.units + age.visits, 0);
        put(1, &same, leaf ? &same : &empty); /* now there is a leaf */
    }
    ck_assert_uint_eq(marks(2), 0);
}
END_TEST

/* -- Runs. -- */

START_TEST(runs_are_as_long_as_slots_are_alike)
{
    bool is_empty;

    for (slot_t slot = 250; slot < 270; slot++)
        put(slot, &same, &empty);
    ck_assert_uint_eq(slot_run(&table, 0, SLOTS, &is_empty), 250);
    ck_assert(is_empty);
    ck_assert_uint_eq(slot_run(&table, 250, SLOTS - 250, &is_empty), 20);
    ck_assert(!is_empty);
    ck_assert_uint_eq(slot_run(&table, 255, 3, &is_empty), 3);
    ck_assert(!is_empty);
    ck_assert_uint_eq(slot_run(&table, 269, 500, &is_empty), 1);
    ck_assert_uint_eq(slot_run(&table, 270, SLOTS - 270, &is_empty), SLOTS - 270);
    ck_assert(is_empty);
    /* An absent leaf after a full one. */
    for (slot_t slot = 270; slot < 512; slot++)
        put(slot, &same, &empty);
    ck_assert_uint_eq(slot_run(&table, 260, SLOTS - 260, &is_empty), 252);
    ck_assert(!is_empty);
}
END_TEST

START_TEST(next_present_skips_leaves_without_ram)
{
    ck_assert_uint_eq(slot_next_present(&table, 0, SLOTS), SLOTS);
    put(600, &same, &empty);
    ck_assert_uint_eq(slot_next_present(&table, 0, SLOTS), 512);
    ck_assert_uint_eq(slot_next_present(&table, 600, SLOTS), 600);
    ck_assert_uint_eq(slot_next_present(&table, 0, 100), 100);
    ck_assert_uint_eq(slot_next_present(&table, 768, SLOTS), SLOTS);
    ck_assert_uint_eq(slot_next_present(&table, 0, 512), 512);
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

HARNESS_MAIN_WITH("unit-slot", setup, teardown,
                  a_slot_without_a_leaf_is_empty_and_is_not_locked,
                  every_put_returns_what_was_there,
                  neighbours_and_the_last_slot_are_untouched,
                  every_edge_advances_the_version,
                  looking_and_ageing_do_not_advance_the_version,
                  a_ticket_that_holds_is_honoured, a_ticket_is_stale_after_any_edge,
                  a_ticket_for_an_empty_slot_is_stale_after_a_clear,
                  a_ticket_keeps_versions_from_starting_anew,
                  versions_wrap_without_touching_other_fields,
                  move_changes_the_handle_and_nothing_else,
                  contents_that_the_machine_does_not_have_are_caught,
                  edges_that_the_machine_does_not_have_are_caught,
                  a_second_slot_lock_and_memory_under_one_are_caught,
                  check_sees_an_entry_that_is_not_legal,
                  ages_grow_to_the_most_there_is_and_access_resets_them,
                  the_two_ages_do_not_disturb_each_other, empty_slots_have_no_age,
                  runs_are_as_long_as_slots_are_alike,
                  next_present_skips_leaves_without_ram, letters_differ)
