/* fault-kill.c - a volume with a state is killed at any moment, and the next one has every page
 *
 * A child opens the volume and works on it with several threads until it is killed: at the
 * k-th arrival at a gate, in the middle of an I/O on the backing store, or at any moment.
 * Another child opens it again and looks at everything.  The state is the same from the
 * first round to the last.
 *
 * The backing store is memory that both share: what was written there before the kill has
 * landed, and nothing lands later.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backing-faulty.h"
#include "harness.h"
#include "journal.h"
#include "statedir.h"
#include "writeback.h"

#define PAGES 4096u
#define SIZE "16M"
#define STORE_BYTES (14 * MIB)
#define MEMORY_BYTES (3 * MIB) /* for pages, of some 5 MiB of objects */
#define WORKERS 3u
#define STEPS 3000 /* of a worker that nobody kills */

static struct journal journal;
static unsigned char *store;
static char directory[64];

static void setup(void)
{
    journal_open(&journal, PAGES);
    store = mmap(NULL, STORE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    ck_assert_ptr_ne(store, MAP_FAILED);
    statedir_make(directory, sizeof directory);
}

static void teardown(void)
{
    statedir_remove(directory);
    munmap(store, STORE_BYTES);
    journal_close(&journal);
}

/* -- The volume, in a child. -- */

static int do_read(void *opaque, uint64_t offset, uint64_t bytes, void *out)
{
    return volume_read(opaque, offset, bytes, out);
}

static int do_write(void *opaque, uint64_t offset, uint64_t bytes, const void *data)
{
    return volume_write(opaque, offset, bytes, data);
}

static int do_trim(void *opaque, uint64_t offset, uint64_t bytes)
{
    return volume_trim(opaque, offset, bytes);
}

static struct journal_target target_of(struct volume *volume)
{
    return (struct journal_target){volume, do_read, do_write, do_trim};
}

static struct faulty *faulty;

static struct volume *open_volume(uint64_t memory_bytes)
{
    char limit[32];

    snprintf(limit, sizeof limit, "%" PRIu64,
             harness_fixed_bytes(SIZE, "lz4") + writeback_bytes(STORE_BYTES) +
                 memory_bytes);
    faulty = faulty_new_in(store, STORE_BYTES);
    return harness_open_with(faulty_backing(faulty), "size", SIZE, "compressor", "lz4",
                             "memory-limit", limit, "state", directory, NULL);
}

/* -- The kill. -- */

enum { AT_GATE, AT_IO, AT_ANY_TIME, KINDS };

static struct kill_point {
    unsigned kind, what, after;
} kill_point;
static _Atomic unsigned arrivals;

static int kill_hook(enum gate point, uint64_t slot, void *opaque)
{
    (void)slot;
    (void)opaque;
    if (point == kill_point.what && ++arrivals == kill_point.after)
        kill(getpid(), SIGKILL);
    return 0;
}

struct worker {
    pthread_t thread;
    struct volume *volume;
    uint64_t random;
    unsigned number;
};

static void *work(void *opaque)
{
    struct worker *worker = opaque;
    const struct journal_target target = target_of(worker->volume);

    for (unsigned i = 0; i < STEPS; i++) {
        uint64_t groups = PAGES / JOURNAL_GROUP / WORKERS;
        uint64_t group =
            harness_random(&worker->random) % groups * WORKERS + worker->number;

        if (journal_step(&journal, &target, group, &worker->random) < 0)
            _exit(3);
        if (i % 256 == 255)
            volume_compact(worker->volume, NULL);
    }
    return NULL;
}

static void be_killed(uint64_t random)
{
    struct worker workers[WORKERS];

    if (kill_point.kind == AT_GATE)
        gate_set_hook(kill_hook, NULL);
    struct volume *volume = open_volume(MEMORY_BYTES);
    if (kill_point.kind == AT_IO)
        faulty_kill(faulty, kill_point.what % 3, kill_point.after, kill_point.what / 3);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] =
            (struct worker){.volume = volume, .random = random + i, .number = i};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            _exit(4);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    kill(getpid(), SIGKILL);
}

/* What is there is what it should be: first the tables, with so much room that nothing
 * works on them meanwhile; then the pages, without more room than before, since reading
 * brings some back to RAM. */
static void look(uint64_t random)
{
    struct volume *volume = open_volume(UINT64_C(1) << 30);

    (void)random;
    harness_check(volume);
    volume_close(volume);

    volume = open_volume(MEMORY_BYTES);
    const struct journal_target target = target_of(volume);
    if (journal_check(&journal, &target) < 0)
        _exit(3);
    volume_close(volume);
}

/* Runs FN in a child; how it ended.  After MICROSECONDS, unless these are 0, it is
 * killed. */
static int in_child(void (*fn)(uint64_t), uint64_t random, unsigned microseconds)
{
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        fn(random);
        _exit(0);
    }
    if (microseconds > 0) {
        const struct timespec time = {microseconds / 1000000,
                                      microseconds % 1000000 * 1000};
        nanosleep(&time, NULL);
        kill(pid, SIGKILL);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static const char *const gate_names[] = {
#define G(name) #name,
    GATES(G)
#undef G
};
#define GATE_COUNT (sizeof gate_names / sizeof *gate_names)

static void round_of(unsigned n, uint64_t *random)
{
    uint64_t r = harness_random(random);
    unsigned magnitude = r / 64 % 11;

    kill_point = (struct kill_point){
        .kind = n % 4 < 2    ? AT_GATE
                : n % 4 == 2 ? AT_IO
                             : AT_ANY_TIME,
        .after = 1 + (unsigned)(r / 1024 % (UINT64_C(1) << magnitude)),
    };
    kill_point.what = (unsigned)(n / 4 + n % 4 * GATE_COUNT / 2) % GATE_COUNT;
    if (n % 8 == 0)
        kill_point.what = GATE_EDGE_DONE; /* on which everything depends */
    if (kill_point.kind == AT_IO) {
        kill_point.what = n / 4 % 9;
        kill_point.after = 1 + kill_point.after / 16;
    }
    unsigned microseconds =
        kill_point.kind == AT_ANY_TIME ? 1 + (unsigned)(r / 64 % 150000) : 0;

    int status = in_child(be_killed, harness_random(random), microseconds);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
                  "round %u, kind %u, what %u, after %u: the load ended with %#x", n,
                  kill_point.kind, kill_point.what, kill_point.after, (unsigned)status);
    status = in_child(look, 0, 0);
    ck_assert_msg(status == 0, "round %u, kind %u, what %u (%s), after %u: %#x", n,
                  kill_point.kind, kill_point.what,
                  kill_point.kind == AT_GATE ? gate_names[kill_point.what] : "-",
                  kill_point.after, (unsigned)status);
}

/* With ZSLOT_TEST_OPS=1000 or more, per cent, hundreds of rounds (make check-kill). */
START_TEST(every_acknowledged_write_survives_a_kill_at_any_moment)
{
    unsigned rounds = (unsigned)harness_ops(72);
    uint64_t random = 1;

    if (rounds < 12)
        rounds = 12;
    for (unsigned n = 0; n < rounds; n++)
        round_of(n, &random);
}
END_TEST

/* -- Writes that come late. -- */

static struct volume *open_far(void)
{
    faulty = faulty_new_in(store, STORE_BYTES);
    faulty_backing(faulty)->outlives_us = true;
    return harness_open_with(faulty_backing(faulty), "size", SIZE, "compressor", "lz4",
                             "memory-limit", "1G", "backing-timeout", "10", "state",
                             directory, NULL);
}

static void write_range(struct volume *volume, uint64_t first, uint64_t count)
{
    const struct journal_target target = target_of(volume);

    for (uint64_t page = first; page < first + count; page++)
        ck_assert_int_eq(journal_write(&journal, &target, page, 1), 0);
}

static void *write_back(void *opaque)
{
    volume_writeback(opaque);
    return NULL;
}

/* Some pages are stored, and others on their way in I/O that a server has and has not
 * carried out. */
static void be_killed_in_flight(uint64_t random)
{
    struct volume *volume = open_far();
    pthread_t thread;

    (void)random;
    write_range(volume, 0, 200);
    ck_assert_int_eq(volume_writeback(volume), 0);
    write_range(volume, 200, 400);
    faulty_hold(faulty, BACKING_WRITE);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_back, volume), 0);
    faulty_wait_held(faulty, BACKING_WRITE, 1);
    kill(getpid(), SIGKILL);
}

/* The blocks that are noted. */
static unsigned noted(uint64_t bits[STORE_BYTES / BACKING_ALIGN / 64])
{
    unsigned count = 0;
    char path[128];

    snprintf(path, sizeof path, "%s/zslot-writes", directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, bits, STORE_BYTES / BACKING_ALIGN / 8, 0),
                     (int)(STORE_BYTES / BACKING_ALIGN / 8));
    close(fd);
    for (unsigned i = 0; i < STORE_BYTES / BACKING_ALIGN / 64; i++)
        count += (unsigned)__builtin_popcountll(bits[i]);
    return count;
}

static bool is_noted(const uint64_t *bits, unsigned block)
{
    return bits[block / 64] >> block % 64 & 1;
}

/* What the server does at last. */
static void carry_out(const uint64_t *bits)
{
    for (unsigned block = 0; block < STORE_BYTES / BACKING_ALIGN; block++)
        if (is_noted(bits, block))
            memset(store + (uint64_t)block * BACKING_ALIGN, 0xaa, BACKING_ALIGN);
}

/* That is all that was done there: nothing was written, or discarded, before it or after. */
static void check_left_alone(const uint64_t *bits)
{
    static const unsigned char late[] = {[0 ... BACKING_ALIGN - 1] = 0xaa};

    for (unsigned block = 0; block < STORE_BYTES / BACKING_ALIGN; block++)
        if (is_noted(bits, block))
            ck_assert_mem_eq(store + (uint64_t)block * BACKING_ALIGN, late,
                             BACKING_ALIGN);
}

static int hold_for_as_long_as_reads_wait(enum gate point, uint64_t slot, void *opaque)
{
    (void)slot;
    (void)opaque;
    return point == GATE_HOLD ? -ETIME : 0;
}

static void meet_late_writes(uint64_t random)
{
    uint64_t bits[STORE_BYTES / BACKING_ALIGN / 64],
        before[STORE_BYTES / BACKING_ALIGN / 64];

    ck_assert_uint_gt(noted(before), 0);
    carry_out(before);
    gate_set_hook(hold_for_as_long_as_reads_wait, NULL);
    struct volume *volume = open_far();
    const struct journal_target target = target_of(volume);
    const struct timespec moment = {.tv_nsec = 1000000};

    (void)random;
    ck_assert_int_eq(volume_writeback(volume), 0);
    /* All else that is empty is discarded meanwhile. */
    while (harness_stat(volume, STAT_bd_used_size) > STORE_BYTES / 2)
        nanosleep(&moment, NULL);
    check_left_alone(before);
    carry_out(before);
    ck_assert_int_eq(journal_check(&journal, &target), 0);
    harness_check(volume);
    while (noted(bits) > 0) /* until they cannot come any more */
        nanosleep(&moment, NULL);
    harness_close(volume); /* and all blocks are there to be used */
}

START_TEST(a_write_that_comes_late_hits_nothing)
{
    int status = in_child(be_killed_in_flight, 0, 0);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%#x",
                  (unsigned)status);
    status = in_child(meet_late_writes, 0, 0);
    ck_assert_msg(status == 0, "%#x", (unsigned)status);
}
END_TEST

HARNESS_MAIN_WITH("fault-kill", setup, teardown,
                  every_acknowledged_write_survives_a_kill_at_any_moment,
                  a_write_that_comes_late_hits_nothing)
