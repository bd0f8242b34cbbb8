/* race-writeback-close.c - a volume that is closed while I/O is under way
 *
 * The table of it all is in race-writeback.c.  In each case the store goes on after the
 * closing thread has asked the writeback thread to end; and once that has ended, before
 * anything is freed, the volume is checked.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sample.h"
#include "stages.h"

/* -- Core's calls of these two come here. -- */

/* The first that volume_close() does is to wake the writeback thread, to end. */
static __thread bool is_closing;
static sem_t is_asked_to_end;

int eventfd_write(int fd, eventfd_t value)
{
    bool is_written = write(fd, &value, sizeof value) == sizeof value;

    if (is_closing)
        sem_post(&is_asked_to_end);
    return is_written ? 0 : -1;
}

/* On a clock that is behind, and catches up by a minute whenever it is read, every wait is over
 * at once, and patience too: a reader gives up while its fetch is under way, as it does in earnest
 * after backing-timeout.  Only so can there be a fetch when a volume is closed, since nobody
 * may still be reading then. */
static __thread time_t is_behind_s;

int clock_gettime(clockid_t id, struct timespec *now)
{
    int r = (int)syscall(SYS_clock_gettime, id, now);

    now->tv_sec -= is_behind_s;
    if (is_behind_s > 0)
        is_behind_s -= 60;
    return r;
}

/* -- Closing. -- */

static struct volume *volume;
static struct faulty *faulty;
static bool is_checked;

/* The writeback thread has ended: every block is accounted for, too. */
static void check(void *opaque)
{
    (void)opaque;
    harness_check(volume);
    ck_assert_uint_eq(harness_stat(volume, STAT_corrupt_objects), 0);
    is_checked = true;
}

static void setup(void)
{
    sem_init(&is_asked_to_end, 0, 0);
}

static void use(struct volume *a_volume, struct faulty *its_store)
{
    volume = a_volume;
    faulty = its_store;
    faulty_on_close(faulty, check, NULL);
}

static void close_it(void *opaque)
{
    (void)opaque;
    is_closing = true;
    volume_close(volume);
}

static struct actor *start_to_close(void)
{
    struct actor *closer = actor_start(close_it, NULL);

    while (sem_wait(&is_asked_to_end) < 0)
        ;
    return closer;
}

/* While the writeback thread is stopped at a gate. */
static void close_while_halted(void)
{
    halt_wait();
    struct actor *closer = start_to_close();
    halt_go();
    actor_go(closer);
}

static void close_while_held(enum backing_op op, int result)
{
    faulty_wait_held(faulty, op, 1);
    struct actor *closer = start_to_close();
    faulty_release(faulty, op, result);
    actor_go(closer);
}

static void teardown(void)
{
    ck_assert(is_checked);
    sem_destroy(&is_asked_to_end);
}

/* -- While pages are written back. -- */

static void open_limited(void)
{
    struct faulty *store = faulty_new(16 * MIB);

    use(harness_open_with(faulty_backing(store), "size", "64M", "compressor", "lz4",
                          "memory-limit", "16M", NULL),
        store);
    faulty_wait_done(store, BACKING_WRITE, 1);
}

/* Past the low mark, so that writeback begins by itself and nobody waits for it. */
static void fill(void)
{
    unsigned char page[PAGE];
    uint64_t enough = harness_stat(volume, STAT_mem_limit) - MIB / 8;

    for (uint64_t i = 0; harness_stat(volume, STAT_mem_used_total) < enough; i++) {
        sample_sized(3000, i, page);
        ck_assert_int_eq(volume_write(volume, i * PAGE, PAGE, page), 0);
    }
}

static void close_at_segment(enum gate point)
{
    open_limited();
    halt_at(point, HALT_ANY_SLOT);
    fill();
    close_while_halted();
}

static void close_in_flight(int result)
{
    open_limited();
    faulty_hold(faulty, BACKING_WRITE);
    fill();
    close_while_held(BACKING_WRITE, result);
}

START_TEST(shutdown_while_the_writeback_is_copied)
{
    close_at_segment(GATE_SEGMENT_COPIED);
}
END_TEST

START_TEST(shutdown_while_the_writeback_is_in_flight)
{
    close_in_flight(0);
}
END_TEST

START_TEST(shutdown_while_the_writeback_is_landed)
{
    close_at_segment(GATE_SEGMENT_LANDED);
}
END_TEST

START_TEST(shutdown_while_the_writeback_is_switched)
{
    close_at_segment(GATE_SEGMENT_SWITCHED);
}
END_TEST

START_TEST(shutdown_while_the_writeback_is_failed)
{
    close_in_flight(-EIO);
}
END_TEST

/* -- While a page is fetched. -- */

static void read_gives_up(void *opaque)
{
    is_behind_s = 300;
    stage_read_is_eio(opaque);
    is_behind_s = 0;
}

static void open_stored(void)
{
    stage_setup(16 * MIB);
    stage_write_back(NULL);
    use(race_volume, stage_faulty);
}

static void close_while_a_fetch_ends(int result)
{
    open_stored();
    faulty_hold(faulty, BACKING_READ);
    read_gives_up(NULL);
    harness_check(volume);
    close_while_held(BACKING_READ, result);
}

START_TEST(shutdown_while_a_fetch_is_in_flight)
{
    close_while_a_fetch_ends(0);
}
END_TEST

START_TEST(shutdown_while_a_fetch_has_landed)
{
    open_stored();
    halt_at(GATE_FETCH_READ, RACE_PAGE);
    read_gives_up(NULL);
    harness_check(volume);
    close_while_halted();
}
END_TEST

START_TEST(shutdown_while_a_fetch_fails)
{
    close_while_a_fetch_ends(-EIO);
}
END_TEST

/* -- While the cleaner is at work. -- */

/* It waits for its first read, and nobody for it: stage_clean() has returned. */
static void open_and_clean(void)
{
    stage_setup_cleaner();
    use(race_volume, stage_faulty);
    faulty_hold_cleaner(faulty);
    stage_clean(NULL);
    faulty_wait_held(faulty, BACKING_READ, STAGE_VICTIMS);
}

static void close_while_the_cleaner_s_read_ends(int result)
{
    open_and_clean();
    close_while_held(BACKING_READ, result);
}

static void close_at_the_cleaner_s_segment(enum gate point)
{
    open_and_clean();
    halt_at(point, HALT_ANY_SLOT);
    faulty_release(faulty, BACKING_READ, 0);
    close_while_halted();
}

static void close_while_the_cleaner_s_write_ends(int result)
{
    open_and_clean();
    faulty_hold(faulty, BACKING_WRITE);
    faulty_release(faulty, BACKING_READ, 0);
    close_while_held(BACKING_WRITE, result);
}

START_TEST(shutdown_while_the_cleaner_reads)
{
    close_while_the_cleaner_s_read_ends(0);
}
END_TEST

START_TEST(shutdown_while_the_cleaner_is_refused_its_read)
{
    close_while_the_cleaner_s_read_ends(-EIO);
}
END_TEST

START_TEST(shutdown_while_the_cleaner_has_copied)
{
    close_at_the_cleaner_s_segment(GATE_SEGMENT_COPIED);
}
END_TEST

START_TEST(shutdown_while_the_cleaner_is_in_flight)
{
    close_while_the_cleaner_s_write_ends(0);
}
END_TEST

START_TEST(shutdown_while_the_cleaner_has_landed)
{
    close_at_the_cleaner_s_segment(GATE_SEGMENT_LANDED);
}
END_TEST

START_TEST(shutdown_while_the_cleaner_fails)
{
    close_while_the_cleaner_s_write_ends(-EIO);
}
END_TEST

#define ANY_WRITEBACK(name)                                                            \
    name##_while_the_writeback_is_copied, name##_while_the_writeback_is_in_flight,     \
        name##_while_the_writeback_is_landed, name##_while_the_writeback_is_failed
#define ANY_FETCH(name)                                                                \
    name##_while_a_fetch_is_in_flight, name##_while_a_fetch_has_landed,                \
        name##_while_a_fetch_fails

#define ANY_CLEANING(name)                                                             \
    name##_while_the_cleaner_reads, name##_while_the_cleaner_is_refused_its_read,      \
        name##_while_the_cleaner_has_copied, name##_while_the_cleaner_is_in_flight,    \
        name##_while_the_cleaner_has_landed, name##_while_the_cleaner_fails

HARNESS_MAIN_WITH("race-writeback-close", setup, teardown, ANY_WRITEBACK(shutdown),
                  shutdown_while_the_writeback_is_switched, ANY_FETCH(shutdown),
                  ANY_CLEANING(shutdown))
