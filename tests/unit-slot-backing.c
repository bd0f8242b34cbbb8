/* unit-slot-backing.c - core/slot.h: the marks and edges of writeback and fetch
 *
 * The table is all there is here; writeback is played by the test.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "codec.h"
#include "harness.h"
#include "slots.h"

#define ADDRESS UINT64_C(0xadd4e550000)

static struct slot_content put(slot_t slot, const struct slot_content *new)
{
    struct slot_content old;

    ck_assert_int_eq(slot_put(&slots_table, slot, new, &old), 0);
    return old;
}

static void touch(slot_t slot, enum slot_purpose purpose)
{
    struct slot_content content;

    ck_assert(slot_lock(&slots_table, slot, purpose, &content));
    slot_unlock(&slots_table, slot);
}

static unsigned marks(slot_t slot, struct slot_content *content)
{
    struct slot_content ignored;

    if (!slot_lock(&slots_table, slot, SLOT_INSPECT, content ? content : &ignored))
        return 0;
    unsigned is = slot_marks_locked(&slots_table, slot);
    slot_unlock(&slots_table, slot);
    ck_assert_int_eq(slot_check(&slots_table, slot), 0);
    return is;
}

static int begin_writing(slot_t slot, struct slot_ticket *ticket)
{
    struct slot_content content;

    ck_assert_int_eq(slot_lock_made(&slots_table, slot, SLOT_INSPECT, &content), 0);
    int r = slot_begin_writing_locked(&slots_table, slot, ticket);
    slot_unlock(&slots_table, slot);
    return r;
}

static void begin_fetching(slot_t slot, struct slot_ticket *ticket)
{
    struct slot_content content;

    ck_assert(slot_lock(&slots_table, slot, SLOT_ACCESS, &content));
    slot_begin_fetching_locked(&slots_table, slot, ticket);
    slot_unlock(&slots_table, slot);
}

static int commit(struct slot_ticket *ticket, struct slot_content *old)
{
    int r = slot_commit(&slots_table, ticket, ADDRESS, old);

    slot_ticket_close(&slots_table, ticket);
    return r;
}

/* Makes SLOT's page, put as CONTENT, STORED. */
static void store(slot_t slot, const struct slot_content *content)
{
    struct slot_ticket ticket;
    struct slot_content old;

    put(slot, content);
    ck_assert_int_eq(begin_writing(slot, &ticket), 0);
    ck_assert_int_eq(commit(&ticket, &old), 0);
}

START_TEST(commit_makes_a_resident_page_stored_and_returns_the_object)
{
    const struct slot_content *const each[] = {&slots_compressed, &slots_huge};

    for (unsigned i = 0; i < 2; i++) {
        struct slot_ticket ticket;
        struct slot_content old, now;

        put(1, each[i]);
        ck_assert_int_eq(begin_writing(1, &ticket), 0);
        ck_assert_uint_eq(marks(1, &now), SLOT_WRITING);
        /* Until it has landed, the pool's object is the one. */
        ck_assert_int_eq(now.state, each[i]->state);
        ck_assert_uint_eq(now.ref, each[i]->ref);
        ck_assert_int_eq(commit(&ticket, &old), 0);
        ck_assert_int_eq(old.state, each[i]->state);
        ck_assert_uint_eq(old.ref, each[i]->ref);
        ck_assert_uint_eq(marks(1, &now), SLOT_IDLE);
        ck_assert_int_eq(now.state, SLOT_STORED);
        ck_assert_uint_eq(now.ref, ADDRESS);
        ck_assert_int_eq(now.codec, each[i]->codec);
        ck_assert_int_eq(now.length, each[i]->length);
    }
}
END_TEST

START_TEST(only_a_page_in_the_pool_can_be_written_back_and_only_once_at_a_time)
{
    struct slot_ticket ticket, second;

    ck_assert_int_eq(begin_writing(2, &ticket), -EAGAIN); /* EMPTY */
    put(2, &slots_same);
    ck_assert_int_eq(begin_writing(2, &ticket), -EAGAIN);
    put(2, &slots_huge);
    ck_assert_int_eq(begin_writing(2, &ticket), 0);
    ck_assert_int_eq(begin_writing(2, &second), -EAGAIN);
    slot_abort_writing(&slots_table, &ticket);
    slot_ticket_close(&slots_table, &ticket);
    store(3, &slots_compressed);
    ck_assert_int_eq(begin_writing(3, &ticket), -EAGAIN);
}
END_TEST

/* Begins to write slot 4 back, does WHAT to it, and wants the commit to find it out. */
static void assert_stale_after(void (*what)(void), unsigned state)
{
    struct slot_ticket ticket;
    struct slot_content old, before, now;

    put(4, &slots_compressed);
    ck_assert_int_eq(begin_writing(4, &ticket), 0);
    what();
    marks(4, &before);
    ck_assert_int_eq(commit(&ticket, &old), -ESTALE);
    /* The slot is untouched, and not WRITING: it could be chosen again. */
    ck_assert_uint_eq(marks(4, &now), 0);
    ck_assert_int_eq(now.state, state);
    ck_assert_int_eq(now.state, before.state);
    ck_assert_uint_eq(now.ref, before.ref);
}

static void read_it(void)
{
    touch(4, SLOT_ACCESS);
}

static void write_it(void)
{
    put(4, &slots_huge);
}

static void write_the_same(void)
{
    put(4, &slots_compressed);
}

static void trim_it(void)
{
    struct slot_content old;

    slot_clear(&slots_table, 4, &old);
    ck_assert_uint_eq(old.ref, slots_compressed.ref);
}

static void write_part_of_it(void)
{
    struct slot_ticket ticket;
    struct slot_content content, old;

    ck_assert_int_eq(slot_lock_made(&slots_table, 4, SLOT_ACCESS, &content), 0);
    slot_ticket_take_locked(&slots_table, 4, &ticket);
    slot_unlock(&slots_table, 4);
    ck_assert_int_eq(slot_put_if(&slots_table, &ticket, &slots_huge, &old), 0);
    slot_ticket_close(&slots_table, &ticket);
}

START_TEST(a_read_takes_writing_off_and_the_commit_is_stale)
{
    assert_stale_after(read_it, SLOT_COMPRESSED);
}
END_TEST

START_TEST(any_write_during_writeback_makes_the_commit_stale)
{
    assert_stale_after(write_it, SLOT_HUGE);
    assert_stale_after(write_the_same, SLOT_COMPRESSED);
    assert_stale_after(trim_it, SLOT_EMPTY);
    assert_stale_after(write_part_of_it, SLOT_HUGE);
}
END_TEST

START_TEST(an_inspection_does_not_make_a_page_warm)
{
    struct slot_ticket ticket;
    struct slot_content old;

    put(4, &slots_compressed);
    ck_assert_int_eq(begin_writing(4, &ticket), 0);
    touch(4, SLOT_INSPECT);
    struct slot_age age;
    slot_grow_older(&slots_table, 4, 1, &age);
    ck_assert_uint_eq(marks(4, NULL), SLOT_WRITING | SLOT_IDLE);
    ck_assert_int_eq(commit(&ticket, &old), 0);
}
END_TEST

START_TEST(abort_takes_the_mark_off_and_leaves_the_page)
{
    struct slot_ticket ticket;
    struct slot_content now;

    put(5, &slots_compressed);
    ck_assert_int_eq(begin_writing(5, &ticket), 0);
    slot_abort_writing(&slots_table, &ticket);
    slot_ticket_close(&slots_table, &ticket);
    ck_assert_uint_eq(marks(5, &now), 0);
    ck_assert_int_eq(now.state, SLOT_COMPRESSED);
    ck_assert_int_eq(begin_writing(5, &ticket), 0);
    slot_abort_writing(&slots_table, &ticket);
    slot_ticket_close(&slots_table, &ticket);
}
END_TEST

START_TEST(abort_of_a_stale_ticket_leaves_the_new_one_writing)
{
    struct slot_ticket stale, ticket;
    struct slot_content old;

    put(5, &slots_compressed);
    ck_assert_int_eq(begin_writing(5, &stale), 0);
    put(5, &slots_huge);
    ck_assert_int_eq(begin_writing(5, &ticket), 0);
    slot_abort_writing(&slots_table, &stale);
    slot_ticket_close(&slots_table, &stale);
    ck_assert_uint_eq(marks(5, NULL), SLOT_WRITING);
    ck_assert_int_eq(commit(&ticket, &old), 0);
}
END_TEST

START_TEST(a_stale_commit_leaves_the_new_writing_alone)
{
    struct slot_ticket stale, ticket;
    struct slot_content old, now;

    put(5, &slots_compressed);
    ck_assert_int_eq(begin_writing(5, &stale), 0);
    put(5, &slots_compressed); /* the same handle: only the version tells */
    ck_assert_int_eq(begin_writing(5, &ticket), 0);
    ck_assert_int_eq(slot_commit(&slots_table, &stale, 0xbad, &old), -ESTALE);
    slot_ticket_close(&slots_table, &stale);
    ck_assert_int_eq(commit(&ticket, &old), 0);
    marks(5, &now);
    ck_assert_uint_eq(now.ref, ADDRESS);
}
END_TEST

START_TEST(stored_pages_can_be_written_and_trimmed_and_give_their_address)
{
    struct slot_content old;

    store(6, &slots_compressed);
    old = put(6, &slots_same);
    ck_assert_int_eq(old.state, SLOT_STORED);
    ck_assert_uint_eq(old.ref, ADDRESS);
    store(6, &slots_huge);
    slot_clear(&slots_table, 6, &old);
    ck_assert_int_eq(old.state, SLOT_STORED);
    ck_assert_int_eq(old.length, PAGE);
    ck_assert_uint_eq(old.ref, ADDRESS);
}
END_TEST

START_TEST(a_fetch_that_ends_leaves_the_page_stored)
{
    struct slot_ticket ticket;
    struct slot_content now;

    store(7, &slots_compressed);
    begin_fetching(7, &ticket);
    ck_assert_uint_eq(ticket.content.ref, ADDRESS);
    ck_assert_uint_eq(marks(7, &now), SLOT_FETCHING | SLOT_IDLE);
    ck_assert_int_eq(slot_end_fetching(&slots_table, &ticket), 0);
    slot_ticket_close(&slots_table, &ticket);
    ck_assert_uint_eq(marks(7, &now), SLOT_IDLE);
    ck_assert_int_eq(now.state, SLOT_STORED);
    ck_assert_uint_eq(now.ref, ADDRESS);
}
END_TEST

START_TEST(a_promotion_puts_the_object_and_returns_the_address)
{
    struct slot_ticket ticket;
    struct slot_content old, now;

    store(7, &slots_compressed);
    begin_fetching(7, &ticket);
    ck_assert_int_eq(slot_put_if(&slots_table, &ticket, &slots_compressed, &old), 0);
    ck_assert_uint_eq(old.ref, ADDRESS);
    ck_assert_uint_eq(marks(7, &now), 0);
    ck_assert_int_eq(now.state, SLOT_COMPRESSED);
    ck_assert_int_eq(slot_end_fetching(&slots_table, &ticket), -ESTALE);
    slot_ticket_close(&slots_table, &ticket);
}
END_TEST

START_TEST(a_fetch_that_a_write_or_trim_passed_is_stale)
{
    struct slot_ticket ticket;
    struct slot_content old, now;

    store(7, &slots_compressed);
    begin_fetching(7, &ticket);
    put(7, &slots_huge);
    ck_assert_int_eq(slot_end_fetching(&slots_table, &ticket), -ESTALE);
    ck_assert_int_eq(slot_put_if(&slots_table, &ticket, &slots_compressed, &old),
                     -ESTALE);
    slot_ticket_close(&slots_table, &ticket);
    ck_assert_uint_eq(marks(7, &now), 0);
    ck_assert_int_eq(now.state, SLOT_HUGE);

    store(8, &slots_compressed);
    begin_fetching(8, &ticket);
    slot_clear(&slots_table, 8, &old);
    ck_assert_int_eq(slot_end_fetching(&slots_table, &ticket), -ESTALE);
    slot_ticket_close(&slots_table, &ticket);
}
END_TEST

START_TEST(a_stale_fetch_leaves_the_mark_of_the_next_one)
{
    struct slot_ticket stale, ticket;

    store(7, &slots_compressed);
    begin_fetching(7, &stale);
    store(7, &slots_compressed); /* written, and written back to the same address */
    begin_fetching(7, &ticket);
    ck_assert_int_eq(slot_end_fetching(&slots_table, &stale), -ESTALE);
    slot_ticket_close(&slots_table, &stale);
    ck_assert_uint_eq(marks(7, NULL), SLOT_FETCHING | SLOT_IDLE);
    ck_assert_int_eq(slot_end_fetching(&slots_table, &ticket), 0);
    slot_ticket_close(&slots_table, &ticket);
}
END_TEST

START_TEST(a_ticket_keeps_a_stored_page_s_leaf)
{
    struct slot_ticket ticket;
    struct slot_content old;

    store(7, &slots_compressed);
    begin_fetching(7, &ticket);
    slot_clear(&slots_table, 7, &old);
    ck_assert_uint_eq(slot_free_leaves(&slots_table), 0);
    ck_assert_int_eq(slot_end_fetching(&slots_table, &ticket), -ESTALE);
    slot_ticket_close(&slots_table, &ticket);
    ck_assert_uint_eq(slot_free_leaves(&slots_table), 1);
}
END_TEST

/* -- The lock itself. -- */

#define WAITERS 3

static void *lock_and_unlock(void *opaque)
{
    struct slot_content content;

    ck_assert(slot_lock(&slots_table, 9, *(enum slot_purpose *)opaque, &content));
    slot_unlock(&slots_table, 9);
    return NULL;
}

/* Until somebody says in the slot that he sleeps (bit 1, see slot-entry.h). */
static void wait_for_waiter(void)
{
    _Atomic uint64_t *meta =
        (_Atomic uint64_t *)(slots_table.leaves.slots.base + 9 * SLOT_BYTES);

    while (!(*meta & 2))
        sched_yield();
}

/* What may be done under the lock stores the entry anew, with those who have begun to wait. */
static void touch_locked(void)
{
    slot_touch_locked(&slots_table, 9);
}

static void begin_fetching_locked(void)
{
    struct slot_ticket ticket;

    slot_begin_fetching_locked(&slots_table, 9, &ticket);
    slot_ticket_close(&slots_table, &ticket);
}

static void do_nothing(void)
{
}

START_TEST(all_who_sleep_for_the_lock_are_woken_whatever_was_done_under_it)
{
    static void (*const deeds[])(void) = {do_nothing, touch_locked,
                                          begin_fetching_locked};
    unsigned long turns = harness_ops(2000);

    for (unsigned long turn = 0; turn < turns; turn++) {
        enum slot_purpose purpose = turn % 2 ? SLOT_ACCESS : SLOT_INSPECT;
        pthread_t threads[WAITERS];
        struct slot_content content;

        store(9, &slots_compressed);
        ck_assert(slot_lock(&slots_table, 9, SLOT_INSPECT, &content));
        for (unsigned i = 0; i < WAITERS; i++)
            ck_assert_int_eq(
                pthread_create(&threads[i], NULL, lock_and_unlock, &purpose), 0);
        wait_for_waiter();
        deeds[turn % 3]();
        slot_unlock(&slots_table, 9);
        for (unsigned i = 0; i < WAITERS; i++)
            pthread_join(threads[i], NULL);
    }
}
END_TEST

static uint64_t guarded_by_slot_10;

static void *count_under_lock(void *opaque)
{
    unsigned long turns = *(unsigned long *)opaque;
    struct slot_content content;
    struct slot_age age;

    for (unsigned long i = 0; i < turns; i++) {
        ck_assert(
            slot_lock(&slots_table, 10, i % 2 ? SLOT_ACCESS : SLOT_INSPECT, &content));
        guarded_by_slot_10++;
        slot_unlock(&slots_table, 10);
        if (i % 16 == 0)
            slot_grow_older(&slots_table, 10, 3, &age);
    }
    return NULL;
}

START_TEST(one_at_a_time_has_a_slot_s_lock)
{
    unsigned long turns = harness_ops(200000);
    pthread_t threads[4];

    guarded_by_slot_10 = 0;
    put(10, &slots_same);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_under_lock, &turns),
                         0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(guarded_by_slot_10, 4 * turns);
}
END_TEST

HARNESS_MAIN_WITH("unit-slot-backing", slots_setup, slots_teardown,
                  commit_makes_a_resident_page_stored_and_returns_the_object,
                  only_a_page_in_the_pool_can_be_written_back_and_only_once_at_a_time,
                  a_read_takes_writing_off_and_the_commit_is_stale,
                  any_write_during_writeback_makes_the_commit_stale,
                  an_inspection_does_not_make_a_page_warm,
                  abort_takes_the_mark_off_and_leaves_the_page,
                  abort_of_a_stale_ticket_leaves_the_new_one_writing,
                  a_stale_commit_leaves_the_new_writing_alone,
                  stored_pages_can_be_written_and_trimmed_and_give_their_address,
                  a_fetch_that_ends_leaves_the_page_stored,
                  a_promotion_puts_the_object_and_returns_the_address,
                  a_fetch_that_a_write_or_trim_passed_is_stale,
                  a_stale_fetch_leaves_the_mark_of_the_next_one,
                  a_ticket_keeps_a_stored_page_s_leaf,
                  all_who_sleep_for_the_lock_are_woken_whatever_was_done_under_it,
                  one_at_a_time_has_a_slot_s_lock)
