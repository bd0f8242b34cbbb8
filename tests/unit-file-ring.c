/* unit-file-ring.c - who completes an urgent read: who waits for it, else the loop
 *
 * The descriptor is a pipe: a read is under way for as long as the test wants.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "file-ring.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

static struct file_rings rings;
static struct event_base *base;
static int ends[2];

struct read {
    struct backing_io io;
    unsigned char buffer[BACKING_ALIGN];
    _Atomic int answers;
    pthread_t by;
};

static struct read first, second;

static int expected;

static void on_done(struct backing_io *io, int result)
{
    struct read *read = io->opaque;

    ck_assert_int_eq(result, expected);
    read->by = pthread_self();
    read->answers++;
}

static void submit(struct read *read, bool awaited)
{
    read->answers = 0;
    read->io = (struct backing_io){
        .op = BACKING_READ,
        .bytes = BACKING_ALIGN,
        .buffer = read->buffer,
        .urgent = true,
        .awaited = awaited,
        .done = on_done,
        .opaque = read,
    };
    file_rings_submit(&rings, &read->io);
}

static bool wait_for_ms(struct read *read, unsigned ms)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += ms / 1000;
    return file_rings_wait(&rings, &read->io, &deadline);
}

/* One read gets its bytes. */
static void feed(void)
{
    static const unsigned char page[BACKING_ALIGN] = {1};

    ck_assert_int_eq(write(ends[1], page, sizeof page), sizeof page);
}

/* The loop's thread is the test's: it runs when the test says so.  Hangs when nothing wakes
 * it. */
static void run_loop_for(struct read *read)
{
    while (read->answers == 0)
        event_base_loop(base, EVLOOP_ONCE);
}

static void setup(void)
{
    ck_assert_int_eq(evthread_use_pthreads(), 0);
    ck_assert_int_eq(pipe(ends), 0);
    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    ck_assert_int_eq(file_rings_open(&rings, ends[0]), 0);
    ck_assert_int_eq(file_rings_start(&rings, base), 0);
    ck_assert(rings.urgent.can_wait);
}

static void teardown(void)
{
    file_rings_close(&rings);
    event_base_free(base);
    close(ends[0]);
    close(ends[1]);
}

START_TEST(who_waits_completes_its_read)
{
    for (unsigned i = 0; i < 3; i++) {
        submit(&first, true);
        feed();
        while (first.answers == 0)
            ck_assert(wait_for_ms(&first, 100000));
        ck_assert_int_eq(first.answers, 1);
        ck_assert_int_eq(first.buffer[0], 1);
        ck_assert(!wait_for_ms(&first, 100000)); /* it is not under way */
    }
}
END_TEST

START_TEST(loop_completes_what_nobody_awaits)
{
    submit(&first, false);
    feed();
    run_loop_for(&first);
    ck_assert_int_eq(first.answers, 1);
}
END_TEST

START_TEST(loop_completes_what_its_reader_has_given_up)
{
    submit(&first, true);
    ck_assert(wait_for_ms(&first, 0));
    ck_assert_int_eq(first.answers, 0);
    feed();
    run_loop_for(&first);
    ck_assert_int_eq(first.answers, 1);
}
END_TEST

/* Its completion comes between the last look of who waits and the eventfd's being on. */
START_TEST(loop_completes_what_was_there_when_its_reader_gave_up)
{
    submit(&first, true);
    submit(&second, true);
    feed();
    feed();
    while (first.answers == 0)
        ck_assert(wait_for_ms(&first, 100000));
    if (second.answers == 0)
        run_loop_for(&second);
    ck_assert_int_eq(first.answers + second.answers, 2);
}
END_TEST

static void *wait_for_second(void *opaque)
{
    while (second.answers == 0)
        (void)wait_for_ms(&second, 100000);
    return opaque;
}

static bool somebody_waits(void)
{
    lock_take(&rings.urgent.lock);
    bool waits = rings.urgent.has_waiter;
    lock_release(&rings.urgent.lock);
    return waits;
}

START_TEST(one_waits_at_a_time_and_what_is_left_is_the_loops)
{
    pthread_t thread;

    submit(&first, true);
    submit(&second, true);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_second, NULL), 0);
    while (!somebody_waits())
        sched_yield();
    ck_assert(!wait_for_ms(&first, 100000));
    ck_assert_int_eq(first.answers + second.answers, 0);
    feed();
    feed();
    pthread_join(thread, NULL);
    ck_assert_int_eq(second.answers, 1);
    ck_assert(pthread_equal(second.by, thread));
    run_loop_for(&first);
    ck_assert_int_eq(first.answers, 1);
}
END_TEST

/* The waiter is in the kernel already when it is submitted. */
START_TEST(read_that_comes_while_another_waits_is_completed_by_it_or_the_loop)
{
    pthread_t thread;

    submit(&second, true);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_second, NULL), 0);
    while (!somebody_waits())
        sched_yield();
    submit(&first, false);
    feed();
    feed();
    pthread_join(thread, NULL);
    run_loop_for(&first);
    ck_assert_int_eq(first.answers + second.answers, 2);
}
END_TEST

/* -- EAGAIN. -- */

static double now_s(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

START_TEST(file_that_is_busy_for_ever_is_an_error_in_the_end)
{
    double cpu_s = now_s(CLOCK_PROCESS_CPUTIME_ID), start_s = now_s(CLOCK_MONOTONIC);

    harness_fail(GATE_FILE_MOVED, 1, true, -EAGAIN);
    expected = -EIO;
    submit(&first, false);
    while (first.answers == 0) {
        feed();
        event_base_loop(base, EVLOOP_ONCE);
    }
    harness_fail_end();
    double took_s = now_s(CLOCK_MONOTONIC) - start_s;
    ck_assert(took_s > 1);
    /* It is asked again with pauses. */
    ck_assert(now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_s < took_s / 2);
}
END_TEST

START_TEST(read_that_finds_it_busy_is_done_when_it_is_not)
{
    for (unsigned i = 0; i < 6; i++)
        feed();
    harness_fail(GATE_FILE_MOVED, 1, true, -EAGAIN);
    submit(&first, true);
    for (unsigned i = 0; i < 5; i++)
        (void)wait_for_ms(&first, 0);
    ck_assert_int_eq(first.answers, 0);
    harness_fail_end();
    while (first.answers == 0)
        if (!wait_for_ms(&first, 100000))
            event_base_loop(base, EVLOOP_ONCE);
    ck_assert_int_eq(first.answers, 1);
}
END_TEST

/* Nothing completes that would wake the loop, and nobody submits anything else. */
START_TEST(what_the_kernel_refuses_more_than_once_is_submitted_in_the_end)
{
    harness_fail(GATE_FILE_SUBMIT, 1, true, -EAGAIN);
    feed();
    submit(&first, false);
    for (unsigned i = 0; i < 3; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    ck_assert(harness_fail_end());
    run_loop_for(&first);
    ck_assert_int_eq(first.answers, 1);
}
END_TEST

/* -- Many at a time, and a loop that runs. -- */

#define READERS 4
#define READS 500

static void *read_over_and_over(void *opaque)
{
    struct read *read = opaque;

    for (unsigned i = 0; i < READS; i++) {
        submit(read, i % 3 != 0);
        while (read->answers == 0)
            if (!wait_for_ms(read, i % 5 == 0 ? 0 : 100000))
                sched_yield();
        ck_assert_int_eq(read->answers, 1);
    }
    return NULL;
}

static void *dispatch(void *opaque)
{
    event_base_loop(opaque, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

START_TEST(each_read_of_several_threads_is_answered_once)
{
    static struct read reads[READERS];
    pthread_t threads[READERS], loop;

    ck_assert_int_eq(pthread_create(&loop, NULL, dispatch, base), 0);
    for (unsigned i = 0; i < READERS; i++)
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, read_over_and_over, &reads[i]), 0);
    for (unsigned i = 0; i < READERS * READS; i++)
        feed();
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    event_base_loopbreak(base);
    pthread_join(loop, NULL);
}
END_TEST

HARNESS_MAIN_WITH("unit-file-ring", setup, teardown, who_waits_completes_its_read,
                  loop_completes_what_nobody_awaits,
                  loop_completes_what_its_reader_has_given_up,
                  loop_completes_what_was_there_when_its_reader_gave_up,
                  one_waits_at_a_time_and_what_is_left_is_the_loops,
                  read_that_comes_while_another_waits_is_completed_by_it_or_the_loop,
                  each_read_of_several_threads_is_answered_once,
                  file_that_is_busy_for_ever_is_an_error_in_the_end,
                  read_that_finds_it_busy_is_done_when_it_is_not,
                  what_the_kernel_refuses_more_than_once_is_submitted_in_the_end)
